/**
 * An object file with one XDP program that gives every frame the same verdict, as `ip link set DEV xdp obj FILE` reads it
 * (by libbpf): ELF of 64 bits, little-endian, relocatable; the program in section "xdp", under a global symbol, and a licence.
 */
export const XDP_DROP = 1;
export const XDP_PASS = 2;

const HEADER = 64;
const SECTION = 64;
const SYMBOL = 24;
const EM_BPF = 247;
const ET_REL = 1;
const SHT = { PROGBITS: 1, SYMTAB: 2, STRTAB: 3 } as const;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const STB_GLOBAL_FUNC = (1 << 4) | 2;

/** The file's bytes. */
export function xdpObject(verdict: number): Buffer {
  // r0 = verdict; exit (linux/bpf.h)
  const program = Buffer.from([0xb7, 0, 0, 0, verdict, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  const licence = Buffer.from('GPL\0');
  const strings = Buffer.from('\0.strtab\0.symtab\0xdp\0license\0verdict\0');
  const nameAt = (name: string) => strings.indexOf(`${name}\0`);
  const symbols = Buffer.alloc(2 * SYMBOL);
  symbols.writeUInt32LE(nameAt('verdict'), SYMBOL);
  symbols[SYMBOL + 4] = STB_GLOBAL_FUNC;
  symbols.writeUInt16LE(1, SYMBOL + 6); // section "xdp"
  symbols.writeBigUInt64LE(BigInt(program.length), SYMBOL + 16);

  const parts = [program, licence, symbols, strings].map((bytes) => padded(bytes));
  const offsets: number[] = [];
  let end = HEADER;
  for (const part of parts) {
    offsets.push(end);
    end += part.length;
  }
  const section = (name: string, type: number, flags: number, part: number, size: number, link = 0) => {
    const header = Buffer.alloc(SECTION);
    header.writeUInt32LE(nameAt(name), 0);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(flags), 8);
    header.writeBigUInt64LE(BigInt(offsets[part]), 24);
    header.writeBigUInt64LE(BigInt(size), 32);
    header.writeUInt32LE(link, 40);
    header.writeUInt32LE(type === SHT.SYMTAB ? 1 : 0, 44); // first global symbol
    header.writeBigUInt64LE(8n, 48);
    header.writeBigUInt64LE(BigInt(type === SHT.SYMTAB ? SYMBOL : 0), 56);
    return header;
  };
  const sections = [
    Buffer.alloc(SECTION),
    section('xdp', SHT.PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0, program.length),
    section('license', SHT.PROGBITS, SHF_ALLOC, 1, licence.length),
    section('.symtab', SHT.SYMTAB, 0, 2, symbols.length, 4),
    section('.strtab', SHT.STRTAB, 0, 3, strings.length),
  ];
  const header = Buffer.alloc(HEADER);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(ET_REL, 16);
  header.writeUInt16LE(EM_BPF, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(end), 40); // section headers
  header.writeUInt16LE(HEADER, 52);
  header.writeUInt16LE(SECTION, 58);
  header.writeUInt16LE(sections.length, 60);
  header.writeUInt16LE(sections.length - 1, 62); // names are in .strtab
  return Buffer.concat([header, ...parts, ...sections]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]);
}
