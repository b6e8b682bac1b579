/** An unmodified Linux guest, made by `xl` as an administrator makes one. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Console } from './console.js';
import { type Dom0, Place, type Result, SECONDS, type Task, until } from './place.js';

export interface GuestOptions {
  readonly name: string;
  /** Lines as in xl's `vif=[…]`; see `vif`. Default: one with the name's first MAC. */
  readonly vifs?: readonly string[];
  readonly vcpus?: number;
  /** MiB. */
  readonly memory?: number;
  readonly type?: 'pv' | 'pvh';
  /** Parameters of xen-netfront, `max_queues=2`; or `none`: it is not loaded. */
  readonly netfront?: string;
  readonly kernelArgs?: string;
  /** Default: the guests' image. */
  readonly ramdisk?: string;
  /** Further lines of the domain's configuration. */
  readonly config?: readonly string[];
  /** eth0's addresses with prefix length. With none, eth0 is left as it is. */
  readonly addresses?: readonly string[];
}

/** Seconds from `xl create` until the guest's init answers. */
const START = 120;
const KERNEL_ARGS = 'console=hvc0 quiet nopti mitigations=off random.trust_cpu=on net.ifnames=0';
/** Nothing but what a test asks for: no script, which is what Netferry needs. */
export const NO_SCRIPT = 'script=/bin/true';

/** The MAC that a guest's vif has in these tests: 00:16:3e is Xen's, then the guest's number and the vif's. */
export function macOf(guest: number, vif = 0): string {
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return `00:16:3e:00:${hex(guest)}:${hex(vif)}`;
}

export class Guest extends Place {
  readonly name: string;
  readonly #dom0: Dom0;
  #domid = 0;
  #console!: Console;
  #tasks = 0;

  private constructor(name: string, dom0: Dom0) {
    super();
    this.name = name;
    this.#dom0 = dom0;
  }

  /** Resolves once its init answers and, with addresses, its carrier is up. Rejects as `xl create` does. */
  static async create(dom0: Dom0, options: GuestOptions): Promise<Guest> {
    const { name, addresses = [] } = options;
    const path = `/tmp/${name}.cfg`;
    writeFileSync(path, configuration(options));
    const guest = new Guest(name, dom0);
    await dom0.ok(`xl create ${path}`, START);
    await guest.#connect();
    if (addresses.length > 0) await guest.address(...addresses);
    return guest;
  }

  static async restore(dom0: Dom0, name: string, path: string): Promise<Guest> {
    const guest = new Guest(name, dom0);
    await dom0.ok(`xl restore ${path}`, START);
    await guest.#connect();
    return guest;
  }

  get domid(): number {
    return this.#domid;
  }

  run(command: string, seconds = SECONDS): Promise<Result> {
    return this.#console.run(command, seconds);
  }

  async start(command: string): Promise<Task> {
    const file = `/tmp/task.${++this.#tasks}`;
    // A command may hold any quote: it goes as hexadecimal digits. A session of its own can be killed whole.
    const hex = Buffer.from(command).toString('hex');
    const script = `echo $$ >${file}.pid; sh ${file} >${file}.out 2>&1; echo $? >${file}.code`;
    await this.ok(
      `echo ${hex} | xxd -r -p >${file}; setsid /bin/sh -c '${script}' </dev/null >/dev/null 2>&1 &`,
    );
    const wait = async (seconds = SECONDS): Promise<Result> => {
      const code = await until(
        `${this.name}: ${command}`,
        async () => (await this.run(`cat ${file}.code`)).stdout.match(/^\d+/)?.[0],
        seconds,
      );
      return { code: Number(code), stdout: (await this.run(`cat ${file}.out`)).stdout, stderr: '' };
    };
    const kill = async () => {
      await this.run(`kill -9 -$(cat ${file}.pid)`);
    };
    return { wait, kill };
  }

  /** Gives eth0 addresses, brings it up and waits for its carrier. */
  async address(...addresses: string[]): Promise<void> {
    // Duplicate address detection takes a second that no scenario is about.
    const add = addresses.map(
      (address) => `ip addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`,
    );
    await this.until(`[ -d /sys/class/net/eth0 ]`);
    await this.ok([...add, 'ip link set eth0 up'].join(' && '));
    await this.until('[ "$(cat /sys/class/net/eth0/carrier)" = 1 ]');
  }

  /** Waits in the guest until a shell condition holds. */
  async until(condition: string, seconds = 30): Promise<void> {
    const { code } = await this.run(
      `for i in $(seq ${seconds * 5}); do ${condition} && exit 0; sleep 0.2; done; exit 9`,
      seconds * 2 + 10,
    );
    assert.equal(code, 0, `${this.name}: not after ${seconds} s: ${condition}`);
  }

  /** This vif's back end directory in xenstore. */
  backend(vif = 0): string {
    return `/local/domain/0/backend/vif/${this.#domid}/${vif}`;
  }

  frontend(vif = 0): string {
    return `/local/domain/${this.#domid}/device/vif/${vif}`;
  }

  /** `spec` as in xl's `vif=[…]`. */
  async attach(spec: string): Promise<void> {
    await this.#dom0.ok(`xl network-attach ${this.name} ${spec.split(',').join(' ')}`);
  }

  async detach(vif: number): Promise<void> {
    await this.#dom0.ok(`xl network-detach ${this.name} ${vif}`);
  }

  /** Saves and ends it; `Guest.restore` makes it live again. */
  async save(path: string): Promise<void> {
    await this.#dom0.ok(`xl save ${this.name} ${path}`, START);
    this.#console.close();
  }

  /** Runs xl's command that migrates it here, and follows it to its next domain. */
  async migrate(command: string): Promise<void> {
    this.#console.close();
    await this.#dom0.ok(command, START);
    await this.#connect();
  }

  /** Follows the guest to its next domain: after a reboot of its own. */
  async rebooted(): Promise<void> {
    const before = this.#domid;
    this.#console.close();
    await until(`${this.name}: a new domain`, async () => (await this.#findDomid()) !== before, START);
    await this.#connect();
  }

  /** The kernel's orderly end; resolves once the domain is gone. */
  async shutdown(): Promise<void> {
    const gone = until(`${this.name}: shutdown`, async () => (await this.#findDomid()) === undefined, START);
    await this.run('poweroff -f', 5).catch(() => {});
    await gone;
    this.#console.close();
  }

  async destroy(): Promise<void> {
    await this.#dom0.ok(`xl destroy ${this.name}`, START);
    this.#console.close();
  }

  console(): string {
    return this.#console.tail();
  }

  async #findDomid(): Promise<number | undefined> {
    const { code, stdout } = await this.#dom0.run(`xl domid ${this.name}`);
    return code === 0 ? Number(stdout.trim()) : undefined;
  }

  async #connect(): Promise<void> {
    this.#domid = await until(`${this.name}: a domain`, () => this.#findDomid(), 10);
    const tty = await until(
      `${this.name}: its console`,
      async () =>
        (await this.#dom0.run(`xenstore-read /local/domain/${this.#domid}/console/tty`)).stdout.trim() ||
        undefined,
      20,
    );
    this.#console = new Console(this.name, tty);
    await this.#console.ready(START);
  }
}

function configuration(options: GuestOptions): string {
  const { name, vcpus = 1, memory = 192, type = 'pv', netfront = '', kernelArgs = '', config = [] } = options;
  const vifs = options.vifs ?? [`mac=${macOf(1)},${NO_SCRIPT}`];
  return [
    `name = "${name}"`,
    `type = "${type}"`,
    'kernel = "/boot/vmlinux"',
    `ramdisk = "${options.ramdisk ?? '/boot/guest.cpio'}"`,
    `extra = "${[KERNEL_ARGS, kernelArgs, netfront && `netfront=${netfront.replaceAll(' ', ',')}`].filter(Boolean).join(' ')}"`,
    `memory = ${memory}`,
    `vcpus = ${vcpus}`,
    `vif = [ ${vifs.map((vif) => `'${vif}'`).join(', ')} ]`,
    'on_poweroff = "destroy"',
    'on_reboot = "restart"',
    'on_crash = "destroy"',
    ...config,
    '',
  ].join('\n');
}
