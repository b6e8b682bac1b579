// A page that is about to change hands (transfer "flip"), beside its MAP_* request.
export const FLIP_SIZE = 16;
export const FLIP_PAGE = 0; // u32: the pool's page that the guest will get
export const FLIP_FIRST = 4; // u32: first segment that goes into it
export const FLIP_END = 8; // u32: behind the last one
