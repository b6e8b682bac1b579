/** The process `netferry`: bin/netferry.js runs it, and netferry itself where it starts another. */
import { processIo } from './io.js';
import { main } from './main.js';

// Not only exitCode: a foreign handle left open must not keep a finished command alive.
process.exit(await main(process.argv.slice(2), processIo()));
