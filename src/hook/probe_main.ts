/** The process behind `probe.ts`: tries both ways on the only interface of its namespace, prints the problems as JSON. */
import { TC_ACT_UNSPEC } from '../abi/bpf_skb.js';
import { SetupError } from '../sys/errors.js';
import { close } from '../sys/libc.js';
import { linkIndex } from '../sys/netlink.js';
import { Assembler } from './assembler.js';
import { attach } from './attach.js';
import type { Mode } from './attachment.js';
import { loadProgram } from './loader.js';

function problem(mode: Mode): string {
  const a = new Assembler('netferry_probe');
  a.mov('r0', TC_ACT_UNSPEC);
  a.exit();
  try {
    const program = loadProgram(a.assemble(), {});
    const target = { ifindex: linkIndex('lo') ?? 1, name: 'lo' };
    const attachment = attach(target, { ingress: program, egress: program }, mode);
    const there = attachment.attached();
    attachment.close();
    close(program);
    return there ? '' : 'attached, but not there';
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return error.hint ? `${error.message}: ${error.hint}` : error.message;
  }
}

process.stdout.write(JSON.stringify({ tcx: problem('tcx'), clsact: problem('clsact') }));
