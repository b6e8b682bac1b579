/**
 * One boot: QEMU, emulating all of it (TCG), with Xen, dom0's kernel and an initramfs. Nothing outside is touched:
 * no network, no disk.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Boot, parseReport, type Report } from '../protocol.js';
import { run } from './command.js';
import type { Images } from './images.js';

const CONSOLE = 'xen-and-dom0.log';

export class Machine {
  readonly #child: ChildProcess;
  readonly #initramfs: string;
  /** Resolves when QEMU has ended, with what it said if it did not end well. */
  readonly ended: Promise<string>;

  /** Starts a boot; its console goes into `folder`. `overlay` is the archive appended to the base image. */
  static async boot(
    images: Images,
    overlay: string,
    boot: Boot,
    folder: string,
    hear: (report: Report) => void,
  ): Promise<Machine> {
    mkdirSync(folder, { recursive: true });
    const initramfs = join(folder, '.dom0.cpio');
    copyFileSync(images.dom0, initramfs);
    await run('sh', ['-c', 'cat "$0" >>"$1"', overlay, initramfs]);
    return new Machine(images, initramfs, boot, folder, hear);
  }

  private constructor(
    images: Images,
    initramfs: string,
    boot: Boot,
    folder: string,
    hear: (report: Report) => void,
  ) {
    this.#initramfs = initramfs;
    // setpriv becomes QEMU: one process, which the kernel ends should we be killed.
    const program = ['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64'];
    const child = spawn('setpriv', [...program, ...qemuArguments(images, initramfs, boot, folder)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Not in the terminal's group: Ctrl-C is ours to handle.
      detached: true,
    });
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const report = parseReport(line);
      if (report !== undefined) hear(report);
    });
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(code === 0 ? '' : `${signal ?? code}: ${stderr.trim()}`));
    });
  }

  /** Ends it, without asking. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
    rmSync(this.#initramfs, { force: true });
  }
}

/**
 * SMAP: Xen 4.17's PV dom0 dies of it under TCG. eager-fpu: lazy switching of the FPU corrupts memory under TCG.
 * The second serial port is for reports, so nothing that Xen or the kernel prints can break into them.
 */
function qemuArguments(images: Images, initramfs: string, boot: Boot, folder: string): string[] {
  const { cpus = 1, memory = 3072, dom0Memory = 1280, hvm = false, counted = true } = boot;
  const xen = [
    ...['com1=115200,8n1', 'console=com1', 'loglvl=warning', 'guest_loglvl=warning', 'bootscrub=0'],
    ...[`dom0_mem=${dom0Memory}M,max:${dom0Memory}M`, `dom0_max_vcpus=${cpus}`],
    ...['spec-ctrl=off,eager-fpu=1', 'xpti=off'],
  ];
  const dom0 = [
    ...['console=hvc0', 'earlyprintk=xen', 'root=/dev/ram0', 'mitigations=off', 'nopti', 'tsc=unstable'],
    ...['random.trust_cpu=on', 'net.ifnames=0', 'panic=1', 'quiet'],
  ];
  return [
    ...['-accel', 'tcg,thread=single', '-machine', 'q35', '-cpu', `max,-smap${hvm ? '' : ',-svm'}`],
    // Two nanoseconds an instruction; time without any is skipped.
    ...(counted ? ['-icount', 'shift=1,sleep=off'] : []),
    ...['-smp', String(cpus), '-m', String(memory), '-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-chardev', `file,id=console,path=${join(folder, CONSOLE)}`, '-serial', 'chardev:console'],
    ...['-chardev', 'stdio,id=reports,signal=off', '-serial', 'chardev:reports'],
    ...['-kernel', images.xen, '-append', xen.join(' ')],
    // A comma within a module's command line would end it; these have none.
    ...['-initrd', `${images.kernel} ${dom0.join(' ')},${initramfs}`],
  ];
}
