/**
 * The header in front of a frame on a tap with IFF_VNET_HDR and in a virtqueue: linux/virtio_net.h.
 * Little-endian as used here (VIRTIO_F_VERSION_1, TUNSETVNETLE, or a little-endian host).
 */

// struct virtio_net_hdr (10 bytes, legacy and tap) and virtio_net_hdr_v1 (12, adds num_buffers).
export const VNET_FLAGS = 0;
export const VNET_GSO_TYPE = 1;
export const VNET_HDR_LEN = 2;
export const VNET_GSO_SIZE = 4;
export const VNET_CSUM_START = 6;
export const VNET_CSUM_OFFSET = 8;
export const VNET_NUM_BUFFERS = 10;
export const VIRTIO_NET_HDR_SIZE = 10;
export const VIRTIO_NET_HDR_V1_SIZE = 12;

export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;
export const VIRTIO_NET_HDR_F_RSC_INFO = 4;

export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_UDP = 3;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
/** A flag beside one of the types above. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;
