// Records of the native platform (Xen's own devices) in the arena, private to the back end.

/** What each page of the arena is, FOREIGN_SIZE bytes a page: which domain's, when it is a granted page mapped there. */
export const FOREIGN_SIZE = 8;
export const FOREIGN_GREF = 0; // u32
export const FOREIGN_DOM = 4; // u16: the domid + 1; 0 = the back end's own memory
export const FOREIGN_WRITE = 6; // u16: 1 = mapped for writing

/** Segments of one grant copy call. */
export const NATIVE_SEGMENTS_MAX = 4096;
