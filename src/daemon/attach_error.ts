/** What the kernel refused when something was attached, as what a person can do about it. */
import { constants } from 'node:os';
import { type AttachProblems, attachProblems } from '../hook/probe.js';
import { SetupError, SysError } from '../sys/errors.js';

const { EPERM } = constants.errno;

/** `error` itself where it says enough. `probe` is asked only for errors of the kernel's. */
export function explainAttach(error: unknown, probe: () => AttachProblems = attachProblems): unknown {
  if (!(error instanceof SysError)) return error;
  if (error.errno === EPERM) {
    return new SetupError(
      `the kernel lets us attach nothing (${error.message})`,
      'the daemon needs root with CAP_BPF and CAP_NET_ADMIN; see: netferry doctor',
      { cause: error },
    );
  }
  const { tcx, clsact } = probe();
  if (!tcx || !clsact) return error;
  return new SetupError(
    'this kernel can attach programs to interfaces neither by TCX nor as clsact filters',
    `it needs Linux 6.6, or CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS (TCX: ${tcx}; clsact: ${clsact})`,
    { cause: error },
  );
}
