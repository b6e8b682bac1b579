import { lanSuite } from './lan.suite.js';

lanSuite('ports, host and wire by clsact', 'clsact', {});
