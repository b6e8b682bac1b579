/** The control ring of a vif (hash configuration, static grants): xen/io/netif.h. */

// struct xen_netif_ctrl_request: u16 id, u16 type, u32 data[3]. The front end writes it.
export const CTRLREQ_ID = 0;
export const CTRLREQ_TYPE = 2;
export const CTRLREQ_DATA0 = 4;
export const CTRLREQ_DATA1 = 8;
export const CTRLREQ_DATA2 = 12;
export const XEN_NETIF_CTRL_REQUEST_SIZE = 16;

// struct xen_netif_ctrl_response: u16 id, u16 type, u32 status, u32 data. The back end writes it.
export const CTRLRSP_ID = 0;
export const CTRLRSP_TYPE = 2;
export const CTRLRSP_STATUS = 4;
export const CTRLRSP_DATA = 8;
export const XEN_NETIF_CTRL_RESPONSE_SIZE = 12;

export const XEN_NETIF_CTRL_TYPE_INVALID = 0;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS = 1;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS = 2;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_KEY = 3;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE = 4;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE = 5;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING = 6;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM = 7;
export const XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE = 8;
export const XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING = 9;
export const XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING = 10;

export const XEN_NETIF_CTRL_STATUS_SUCCESS = 0;
export const XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED = 1;
export const XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER = 2;
export const XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW = 3;

export const XEN_NETIF_CTRL_HASH_TYPE_IPV4 = 1;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP = 2;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6 = 4;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP = 8;
export const XEN_NETIF_CTRL_HASH_ALGORITHM_NONE = 0;
export const XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ = 1;

// struct xen_netif_gref: u32 ref, u16 flags, u16 status. The front end lists these in a granted page;
// the back end fills in the status of each.
export const GREF_REF = 0;
export const GREF_FLAGS = 4;
export const GREF_STATUS = 6;
export const XEN_NETIF_GREF_SIZE = 8;
export const XEN_NETIF_CTRLF_GREF_readonly = 1;
