/**
 * /dev/xen/gntdev (linux/drivers/xen/gntdev.c). References are registered, which gives an offset; mapping that part
 * of the file maps the pages. One object per thread: its buffers are filled and used within one call.
 */
import {
  GRANT_COPY_COUNT,
  GRANT_COPY_SEGMENTS,
  GRANT_COPY_SIZE,
  GRANT_REF_DOMID,
  GRANT_REF_REF,
  GRANT_REF_SIZE,
  IOCTL_GNTDEV_GRANT_COPY,
  IOCTL_GNTDEV_MAP_GRANT_REF,
  IOCTL_GNTDEV_SET_UNMAP_NOTIFY,
  IOCTL_GNTDEV_UNMAP_GRANT_REF,
  MAP_GRANT_COUNT,
  MAP_GRANT_INDEX,
  MAP_GRANT_REFS,
  UNMAP_GRANT_COUNT,
  UNMAP_GRANT_INDEX,
  UNMAP_GRANT_SIZE,
  UNMAP_NOTIFY_ACTION,
  UNMAP_NOTIFY_INDEX,
  UNMAP_NOTIFY_PORT,
  UNMAP_NOTIFY_SEND_EVENT,
  UNMAP_NOTIFY_SIZE,
} from '../abi/gntdev.js';
import { addressOf, check, close, errno, ioctlPointer } from './libc.js';
import { openXenDevice } from './xen_device.js';

/** References of one registration. */
export const GRANTS_AT_ONCE = 256;

export class Gntdev {
  readonly fd = openXenDevice('gntdev');
  readonly #map = new Argument(MAP_GRANT_REFS + GRANTS_AT_ONCE * GRANT_REF_SIZE);
  readonly #unmap = new Argument(UNMAP_GRANT_SIZE);
  readonly #notify = new Argument(UNMAP_NOTIFY_SIZE);
  readonly #copy = new Argument(GRANT_COPY_SIZE);

  /** Reference number `i` of the next `register`. */
  enter(i: number, domid: number, reference: number): void {
    const at = MAP_GRANT_REFS + i * GRANT_REF_SIZE;
    this.#map.view.setUint32(at + GRANT_REF_DOMID, domid, true);
    this.#map.view.setUint32(at + GRANT_REF_REF, reference, true);
  }

  /**
   * Registers the first `count` entered references. Their page number in the file, or a negative errno. Nothing is
   * asked of Xen yet: that is done, all or nothing, when the range is mapped.
   */
  register(count: number): number {
    const { view } = this.#map;
    view.setUint32(MAP_GRANT_COUNT, count, true);
    if (ioctlPointer(this.fd, IOCTL_GNTDEV_MAP_GRANT_REF, this.#map.address) === -1) return -errno();
    // The index is a page number, shifted: as two halves, since a BigInt would be allocated.
    const low = view.getUint32(MAP_GRANT_INDEX, true);
    return low / 4096 + view.getUint32(MAP_GRANT_INDEX + 4, true) * 2 ** 20;
  }

  /** Forgets a registration. Its range was unmapped before, else it stays until it is. 0, or a negative errno. */
  unregister(page: number, count: number): number {
    this.#unmap.setOffset(UNMAP_GRANT_INDEX, page);
    this.#unmap.view.setUint32(UNMAP_GRANT_COUNT, count, true);
    return this.#call(IOCTL_GNTDEV_UNMAP_GRANT_REF, this.#unmap);
  }

  /** When the registration of that page ends, by whatever end of the process, local event channel `port` is signalled. */
  signalOnUnmap(page: number, port: number): void {
    this.#notify.setOffset(UNMAP_NOTIFY_INDEX, page);
    this.#notify.view.setUint32(UNMAP_NOTIFY_ACTION, UNMAP_NOTIFY_SEND_EVENT, true);
    this.#notify.view.setUint32(UNMAP_NOTIFY_PORT, port, true);
    const result = ioctlPointer(this.fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, this.#notify.address) as number;
    check('ioctl GNTDEV_SET_UNMAP_NOTIFY', result, `event channel ${port}`);
  }

  /**
   * Copies `count` segments (struct gntdev_grant_copy_segment) at `segments`, an address of this process. 0: each has
   * its status; a negative errno: none of them means anything.
   */
  copy(segments: number, count: number): number {
    const { view } = this.#copy;
    view.setUint32(GRANT_COPY_COUNT, count, true);
    view.setUint32(GRANT_COPY_SEGMENTS, segments % 2 ** 32, true);
    view.setUint32(GRANT_COPY_SEGMENTS + 4, Math.floor(segments / 2 ** 32), true);
    return this.#call(IOCTL_GNTDEV_GRANT_COPY, this.#copy);
  }

  close(): void {
    close(this.fd);
  }

  #call(request: number, argument: Argument): number {
    return (ioctlPointer(this.fd, request, argument.address) as number) === -1 ? -errno() : 0;
  }
}

/** The argument of an ioctl, made once. */
class Argument {
  readonly view: DataView<ArrayBuffer>;
  readonly address: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(size: number) {
    this.#bytes = new Uint8Array(new ArrayBuffer(size));
    this.view = new DataView(this.#bytes.buffer);
    this.address = addressOf(this.#bytes);
  }

  /** u64 byte offset of a page of the file. */
  setOffset(field: number, page: number): void {
    this.view.setUint32(field, (page * 4096) % 2 ** 32, true);
    this.view.setUint32(field + 4, Math.floor(page / 2 ** 20), true);
  }
}
