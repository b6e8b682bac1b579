/** Requests as they come over the wire: arguments out of the payload, the operation, the answer's payload. */
import * as xs from '../../../abi/xs_wire.js';
import {
  formatPermission,
  onlyString,
  packStrings,
  parseDomid,
  parsePermission,
  stringAndBytes,
  unpackStrings,
} from '../../wire/payload.js';
import { XsError } from '../../xenstore.js';
import * as nodes from './nodes.js';
import { canonicalPath, domainPath, isRelative } from './path.js';
import type { Session } from './session.js';
import type { View } from './store.js';

export interface Request {
  readonly session: Session;
  readonly payload: Buffer;
  /** The store, or the transaction the request belongs to. */
  readonly view: View;
  readonly txId: number;
}

interface Operation {
  /** Domain 0 only; others get EACCES. */
  readonly privileged?: boolean;
  /** The transaction id in the header means nothing. */
  readonly ignoresTransaction?: boolean;
  /** The answer's payload; nothing means `OK`. XsError becomes an ERROR message. */
  run(request: Request): Buffer | undefined;
}

const invalid = (what: string): XsError => new XsError('EINVAL', what);
const strings = (...values: string[]): Buffer => packStrings(values, 'latin1');

/** The payload's only string as a canonical path. */
function pathArgument({ session, payload }: Request, allowSpecial = false): string {
  const path = onlyString(payload);
  if (path === undefined) throw invalid('payload');
  return canonicalPath(path, session.domain.domid, allowSpecial);
}

function domidArgument({ payload }: Request): number {
  const domid = parseDomid(onlyString(payload));
  if (domid === undefined) throw invalid('domid');
  return domid;
}

/** The first strings of the payload, at least so many. */
function stringArguments({ payload }: Request, least: number): string[] {
  const values = unpackStrings(payload, 'latin1');
  if (values.length < least) throw invalid('payload');
  return values;
}

function watchArguments(request: Request) {
  const values = stringArguments(request, 2);
  if (values.length !== 2) throw invalid('payload');
  const [given, token] = values;
  const path = canonicalPath(given, request.session.domain.domid, true);
  return { path, token, relative: isRelative(given) };
}

const CONTROL_HELP = 'help\nlog|[on|off]\nprint|<string>\n';

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [
    xs.XS_CONTROL,
    {
      privileged: true,
      run: (request) => {
        const [command, argument] = stringArguments(request, 1);
        if (command === 'help') return strings(CONTROL_HELP);
        if (command === 'print' && argument !== undefined) request.session.server.log(`print: ${argument}`);
        else if (command !== 'log' || (argument !== 'on' && argument !== 'off')) throw invalid('command');
        return undefined;
      },
    },
  ],
  [
    xs.XS_DIRECTORY,
    {
      run: (r) => {
        const payload = nodes.directoryPayload(nodes.list(r.view, r.session.domain, pathArgument(r)));
        // Clients then ask again with DIRECTORY_PART.
        if (payload.length > xs.XENSTORE_PAYLOAD_MAX) throw new XsError('E2BIG', 'directory');
        return payload;
      },
    },
  ],
  [
    xs.XS_DIRECTORY_PART,
    {
      run: (r) => {
        const values = stringArguments(r, 2);
        if (values.length !== 2 || !/^\d{1,9}$/.test(values[1])) throw invalid('payload');
        const path = canonicalPath(values[0], r.session.domain.domid);
        const node = nodes.list(r.view, r.session.domain, path);
        return nodes.directoryPartPayload(node, Number(values[1]), xs.XENSTORE_PAYLOAD_MAX);
      },
    },
  ],
  [xs.XS_READ, { run: (r) => nodes.read(r.view, r.session.domain, pathArgument(r)) }],
  [
    xs.XS_WRITE,
    {
      run: (r) => {
        const parts = stringAndBytes(r.payload);
        if (!parts) throw invalid('payload');
        const { domain } = r.session;
        nodes.write(r.view, domain, canonicalPath(parts.head, domain.domid), parts.rest);
        return undefined;
      },
    },
  ],
  [xs.XS_MKDIR, { run: (r) => done(nodes.mkdir(r.view, r.session.domain, pathArgument(r))) }],
  [xs.XS_RM, { run: (r) => done(nodes.remove(r.view, r.session.domain, pathArgument(r))) }],
  [
    xs.XS_GET_PERMS,
    {
      run: (r) => {
        const permissions = nodes.getPermissions(r.view, r.session.domain, pathArgument(r, true));
        return strings(...permissions.map(formatPermission));
      },
    },
  ],
  [
    xs.XS_SET_PERMS,
    {
      run: (r) => {
        const [given, ...texts] = stringArguments(r, 2);
        const { domain } = r.session;
        const permissions = texts.map((text) => {
          const permission = parsePermission(text);
          if (!permission) throw invalid('permission');
          return permission;
        });
        const path = canonicalPath(given, domain.domid, true);
        nodes.setPermissions(r.view, domain, path, permissions);
        return undefined;
      },
    },
  ],
  [
    xs.XS_WATCH,
    {
      ignoresTransaction: true,
      run: (r) => {
        const { path, token, relative } = watchArguments(r);
        r.session.watch(path, token, relative);
        return undefined;
      },
    },
  ],
  [
    xs.XS_UNWATCH,
    {
      ignoresTransaction: true,
      run: (r) => {
        const { path, token } = watchArguments(r);
        r.session.unwatch(path, token);
        return undefined;
      },
    },
  ],
  [xs.XS_RESET_WATCHES, { run: ({ session }) => done(session.reset()) }],
  [
    xs.XS_TRANSACTION_START,
    {
      run: ({ session, txId }) => {
        if (txId !== 0) throw new XsError('EBUSY', 'transaction in a transaction');
        return strings(String(session.startTransaction()));
      },
    },
  ],
  [
    xs.XS_TRANSACTION_END,
    {
      run: ({ session, payload, txId }) => {
        const verdict = onlyString(payload);
        if (verdict !== 'T' && verdict !== 'F') throw invalid('payload');
        session.endTransaction(txId, verdict === 'T');
        return undefined;
      },
    },
  ],
  [
    xs.XS_INTRODUCE,
    {
      privileged: true,
      run: (r) => {
        // The frame number of its ring page and the event channel; here domains have sockets instead.
        const [domid, , port] = stringArguments(r, 3);
        const parsed = parseDomid(domid);
        if (parsed === undefined || !/^[1-9]\d{0,9}$/.test(port)) throw invalid('payload');
        r.session.server.introduce(parsed);
        return undefined;
      },
    },
  ],
  [xs.XS_RELEASE, { privileged: true, run: (r) => done(r.session.server.release(introducedArgument(r))) }],
  [xs.XS_RESUME, { privileged: true, run: (r) => void introducedArgument(r) }],
  [
    xs.XS_SET_TARGET,
    {
      privileged: true,
      run: (r) => {
        const [domid, target] = stringArguments(r, 2).map(parseDomid);
        if (domid === undefined || target === undefined) throw invalid('domid');
        r.session.server.setTarget(domid, target);
        return undefined;
      },
    },
  ],
  [
    xs.XS_IS_DOMAIN_INTRODUCED,
    {
      privileged: true,
      run: (r) => strings(r.session.server.isIntroduced(domidArgument(r)) ? 'T' : 'F'),
    },
  ],
  [xs.XS_GET_DOMAIN_PATH, { run: (r) => strings(domainPath(domidArgument(r))) }],
]);

/** For operations that answer with `OK`. */
const done = (_nothing: unknown): undefined => undefined;

/** A guest's domid; domain 0 stays. */
function introducedArgument(request: Request): number {
  const domid = domidArgument(request);
  if (domid === 0) throw invalid('domid 0');
  if (!request.session.server.isIntroduced(domid)) throw new XsError('ENOENT', `domain ${domid}`);
  return domid;
}

const OK = Buffer.from('OK\0');

/** Runs one request. XsError: the code is the answer. */
export function runRequest(session: Session, type: number, txId: number, payload: Buffer): Buffer {
  const operation = OPERATIONS.get(type);
  if (!operation) throw new XsError('ENOSYS', `request type ${type}`);
  if (operation.privileged && session.domain.domid !== 0) throw new XsError('EACCES', `request type ${type}`);
  const view = session.view(operation.ignoresTransaction ? 0 : txId);
  return operation.run({ session, payload, view, txId }) ?? OK;
}
