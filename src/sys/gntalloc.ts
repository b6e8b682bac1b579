/** /dev/xen/gntalloc (linux/drivers/xen/gntalloc.c): pages of this process's own that a domain may map and copy. */
import {
  ALLOC_GREF_COUNT,
  ALLOC_GREF_DOMID,
  ALLOC_GREF_FLAGS,
  ALLOC_GREF_IDS,
  ALLOC_GREF_INDEX,
  DEALLOC_GREF_COUNT,
  DEALLOC_GREF_INDEX,
  DEALLOC_GREF_SIZE,
  GNTALLOC_FLAG_WRITABLE,
  IOCTL_GNTALLOC_ALLOC_GREF,
  IOCTL_GNTALLOC_DEALLOC_GREF,
} from '../abi/gntalloc.js';
import { addressOf, check, close, ioctlPointer } from './libc.js';
import { openXenDevice } from './xen_device.js';

/** Pages in one go. */
export interface GrantedPages {
  /** Byte offset in the device's file, to map. */
  readonly offset: number;
  /** One a page, in no order. */
  readonly references: readonly number[];
}

export class Gntalloc {
  readonly fd = openXenDevice('gntalloc');

  /** `count` zeroed pages that `domid` may use until `free`, and for as long as it has them mapped. Throws SysError. */
  allocate(domid: number, count: number, writable: boolean): GrantedPages {
    const argument = new DataView(new ArrayBuffer(ALLOC_GREF_IDS + 4 * count));
    argument.setUint16(ALLOC_GREF_DOMID, domid, true);
    argument.setUint16(ALLOC_GREF_FLAGS, writable ? GNTALLOC_FLAG_WRITABLE : 0, true);
    argument.setUint32(ALLOC_GREF_COUNT, count, true);
    const result = ioctlPointer(
      this.fd,
      IOCTL_GNTALLOC_ALLOC_GREF,
      addressOf(new Uint8Array(argument.buffer)),
    ) as number;
    check('ioctl GNTALLOC_ALLOC_GREF', result, `${count} pages for domain ${domid}`, LIMIT_HINT);
    return {
      offset: Number(argument.getBigUint64(ALLOC_GREF_INDEX, true)),
      references: Array.from({ length: count }, (_, i) => argument.getUint32(ALLOC_GREF_IDS + 4 * i, true)),
    };
  }

  /** Takes them back: at once, or when nobody has them mapped any more. */
  free({ offset, references }: GrantedPages): void {
    const argument = new DataView(new ArrayBuffer(DEALLOC_GREF_SIZE));
    argument.setBigUint64(DEALLOC_GREF_INDEX, BigInt(offset), true);
    argument.setUint32(DEALLOC_GREF_COUNT, references.length, true);
    const result = ioctlPointer(
      this.fd,
      IOCTL_GNTALLOC_DEALLOC_GREF,
      addressOf(new Uint8Array(argument.buffer)),
    ) as number;
    check('ioctl GNTALLOC_DEALLOC_GREF', result, `${references.length} pages`);
  }

  close(): void {
    close(this.fd);
  }
}

const LIMIT_HINT = 'ENOSPC: raise /sys/module/xen_gntalloc/parameters/limit';
