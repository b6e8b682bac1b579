/** The command line: which commands there are, and what becomes of what they throw. */
import { Command, CommanderError } from 'commander';
import { SetupError } from '../sys/errors.js';
import { type Attach, createContext, version } from './context.js';
import { addDemo } from './demo.js';
import { addDoctor } from './doctor.js';
import { addDown } from './down.js';
import { addGuest } from './guest.js';
import { type Io, printError } from './io.js';
import { addLab } from './lab.js';
import { UsageError } from './options.js';
import { addPorts } from './port.js';
import { addStatus } from './status.js';
import { addUp } from './up.js';
import { addVif } from './vif.js';

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** Runs one command; resolves with the process's exit code, never rejects. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  // What follows `--` is somebody else's command line: it is taken off before ours is parsed.
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const tail = dashes < 0 ? undefined : argv.slice(dashes + 1);
  let exit = 0;
  const attach: Attach = (command, handler, takesTail = false) => {
    command.action(async () => {
      if (tail !== undefined && !takesTail) {
        throw new UsageError(`${path(command)} takes no command after --`, `see: ${path(command)} --help`);
      }
      exit = (await handler(createContext(io, argv, tail, command))) ?? 0;
    });
  };
  try {
    await createProgram(io, attach).parseAsync([...own], { from: 'user' });
    return exit;
  } catch (error) {
    return report(io, error);
  }
}

function createProgram(io: Io, attach: Attach): Command {
  const program = new Command('netferry')
    .description(
      'A network back end for virtual machines: frames go by MAC straight to their guest, with no bridge.',
    )
    .version(version(), '-V, --version')
    .option('--dir <directory>', 'the daemon’s directory (or NETFERRY_DIR; /run/netferry for root)')
    .option('--json', 'answer with one JSON document')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {}, // report() says it
    })
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  netferry demo                                    show it all, leave nothing behind
  netferry up --uplink eth0 &                      guests on the physical network, with no bridge
  netferry attach veth7 --mac 02:00:5e:10:00:07    a container's or a VM's interface takes part
  netferry up --host-ip 10.1.0.1/24 &              the back end, with the host at 10.1.0.1
  netferry guest run web --ip 10.1.0.2/24 -d       a guest
  netferry guest exec web -- ip addr               a command inside it
  netferry vif list --watch                        what flows
`,
    );
  addUp(program, attach);
  addDown(program, attach);
  addStatus(program, attach);
  addVif(program, attach);
  addPorts(program, attach);
  addGuest(program, attach);
  addDemo(program, attach);
  addDoctor(program, attach);
  addLab(program, attach);
  return program;
}

function report(io: Io, error: unknown): number {
  if (error instanceof UsageError) {
    printError(io, error.message, error.hint);
    return EXIT_USAGE;
  }
  if (error instanceof SetupError) {
    printError(io, error.message, error.hint);
    return EXIT_FAILURE;
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // --help, --version
    if (error.code === 'commander.help') return EXIT_USAGE; // no command: commander has printed the help
    const [message, suggestion] = error.message.replace(/^error: /, '').split('\n');
    printError(io, message, suggestion?.replace(/^\(|\)$/g, '') ?? 'see: netferry --help');
    return EXIT_USAGE;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  io.stderr.write(`${stack}\n`);
  printError(io, 'this is a mistake in netferry', 'please report it with the lines above');
  return EXIT_FAILURE;
}

/** `netferry guest run` */
function path(command: Command): string {
  return command.parent ? `${path(command.parent)} ${command.name()}` : command.name();
}
