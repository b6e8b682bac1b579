/**
 * Where each constant of src/abi comes from, in C.
 *
 * A constant that bears its header's own name needs no row: the oracle asks the header for that very name,
 * and a name no header knows does not compile. `C` holds the rest (offsets, sizes, function-like macros),
 * `NEWER` those that older headers lack, with the value of the kernel release that brought them.
 */
export interface HeaderTable {
  /** Included in this order. */
  headers: string[];
  /** Constant → C expression. */
  C?: Record<string, string>;
  /** Constant → value, where the installed header may be older than the constant. */
  NEWER?: Record<string, { since: string; value: number }>;
}

/** Rows `PREFIX_FIELD → offsetof(type, field)`; a field that reads otherwise in TypeScript is `NAME:field`. */
function offsets(prefix: string, type: string, fields: string): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const field of fields.split(' ')) {
    const [name, member] = field.includes(':') ? field.split(':') : [field.toUpperCase(), field];
    rows[`${prefix}${name}`] = `offsetof(${type}, ${member})`;
  }
  return rows;
}

const UFFDIO_MOVE = 'struct { uint64_t dst; uint64_t src; uint64_t len; uint64_t mode; int64_t move; }';

const xenHeaders = ['stdint.h', 'stddef.h', 'string.h'];

export const TABLE: Record<string, HeaderTable> = {
  ring: {
    headers: [...xenHeaders, 'xenctrl.h', 'xen/io/netif.h'],
    C: {
      ...offsets('RING_', 'struct netif_tx_sring', 'req_prod req_event rsp_prod rsp_event pvt ENTRIES:ring'),
      NETIF_RING_SIZE:
        '__CONST_RING_SIZE(netif_tx, 4096) == __CONST_RING_SIZE(netif_rx, 4096) ? __CONST_RING_SIZE(netif_rx, 4096) : -1',
      NETIF_CTRL_RING_SIZE: '__CONST_RING_SIZE(xen_netif_ctrl, 4096)',
      TX_ENTRY_SIZE: 'sizeof(union netif_tx_sring_entry)',
      RX_ENTRY_SIZE: 'sizeof(union netif_rx_sring_entry)',
      CTRL_ENTRY_SIZE: 'sizeof(union xen_netif_ctrl_sring_entry)',
      XEN_PAGE_SIZE: 'XC_PAGE_SIZE',
      XEN_PAGE_SHIFT: 'XC_PAGE_SHIFT',
    },
  },
  netif: {
    headers: [...xenHeaders, 'xen/grant_table.h', 'xen/io/netif.h'],
    C: {
      ...offsets('TXREQ_', 'struct netif_tx_request', 'gref offset flags id size'),
      ...offsets('TXRSP_', 'struct netif_tx_response', 'id status'),
      ...offsets('RXREQ_', 'struct netif_rx_request', 'id pad gref'),
      ...offsets('RXRSP_', 'struct netif_rx_response', 'id offset flags status'),
      ...offsets('EXTRA_', 'struct netif_extra_info', 'type flags MCAST_ADDR:u.mcast.addr'),
      ...offsets('EXTRA_GSO_', 'struct netif_extra_info', 'SIZE:u.gso.size TYPE:u.gso.type PAD:u.gso.pad'),
      ...offsets('EXTRA_', 'struct netif_extra_info', 'GSO_FEATURES:u.gso.features HASH_TYPE:u.hash.type'),
      ...offsets('EXTRA_HASH_', 'struct netif_extra_info', 'ALGORITHM:u.hash.algorithm VALUE:u.hash.value'),
      NETIF_TX_REQUEST_SIZE: 'sizeof(struct netif_tx_request)',
      NETIF_TX_RESPONSE_SIZE: 'sizeof(struct netif_tx_response)',
      NETIF_RX_REQUEST_SIZE: 'sizeof(struct netif_rx_request)',
      NETIF_RX_RESPONSE_SIZE: 'sizeof(struct netif_rx_response)',
      EXTRA_XDP_HEADROOM: 'offsetof(struct netif_extra_info, u)', // u.xdp.headroom is the first in it
      NETIF_EXTRA_INFO_SIZE: 'sizeof(struct netif_extra_info)',
    },
    NEWER: {
      XEN_NETIF_EXTRA_TYPE_XDP: { since: '5.9', value: 5 },
      XEN_NETIF_MAX_XDP_HEADROOM: { since: '5.9', value: 0x7fff },
    },
  },
  netif_ctrl: {
    headers: [...xenHeaders, 'xen/grant_table.h', 'xen/io/netif.h'],
    C: {
      ...offsets(
        'CTRLREQ_',
        'struct xen_netif_ctrl_request',
        'id type DATA0:data[0] DATA1:data[1] DATA2:data[2]',
      ),
      ...offsets('CTRLRSP_', 'struct xen_netif_ctrl_response', 'id type status data'),
      ...offsets('GREF_', 'struct xen_netif_gref', 'ref flags status'),
      XEN_NETIF_CTRL_REQUEST_SIZE: 'sizeof(struct xen_netif_ctrl_request)',
      XEN_NETIF_CTRL_RESPONSE_SIZE: 'sizeof(struct xen_netif_ctrl_response)',
      XEN_NETIF_GREF_SIZE: 'sizeof(struct xen_netif_gref)',
    },
  },
  gntdev: {
    headers: [...xenHeaders, 'xen/grant_table.h', 'sys/ioctl.h', 'xen/gntdev.h'],
    C: {
      ...offsets('MAP_GRANT_', 'struct ioctl_gntdev_map_grant_ref', 'count index refs'),
      ...offsets('GRANT_REF_', 'struct ioctl_gntdev_grant_ref', 'domid ref'),
      GRANT_REF_SIZE: 'sizeof(struct ioctl_gntdev_grant_ref)',
      ...offsets('UNMAP_GRANT_', 'struct ioctl_gntdev_unmap_grant_ref', 'index count'),
      UNMAP_GRANT_SIZE: 'sizeof(struct ioctl_gntdev_unmap_grant_ref)',
      ...offsets('UNMAP_NOTIFY_', 'struct ioctl_gntdev_unmap_notify', 'index action PORT:event_channel_port'),
      UNMAP_NOTIFY_SIZE: 'sizeof(struct ioctl_gntdev_unmap_notify)',
      ...offsets('GRANT_COPY_', 'struct ioctl_gntdev_grant_copy', 'count segments'),
      GRANT_COPY_SIZE: 'sizeof(struct ioctl_gntdev_grant_copy)',
      ...offsets('COPY_', 'struct gntdev_grant_copy_segment', 'source dest len flags status'),
      COPY_END_REF: `offsetof(struct gntdev_grant_copy_segment, source.foreign.ref)`,
      COPY_END_OFFSET: `offsetof(struct gntdev_grant_copy_segment, source.foreign.offset)`,
      COPY_END_DOMID: `offsetof(struct gntdev_grant_copy_segment, source.foreign.domid)`,
      COPY_SEGMENT_SIZE: 'sizeof(struct gntdev_grant_copy_segment)',
    },
  },
  evtchn: {
    headers: [...xenHeaders, 'xen/xen.h', 'sys/ioctl.h', 'xen/evtchn.h'],
    C: {
      ...offsets('BIND_', 'struct ioctl_evtchn_bind_interdomain', 'remote_domain remote_port'),
      BIND_INTERDOMAIN_SIZE: 'sizeof(struct ioctl_evtchn_bind_interdomain)',
    },
  },
  gntalloc: {
    headers: [...xenHeaders, 'sys/ioctl.h', 'xen/gntalloc.h'],
    C: {
      ...offsets('ALLOC_GREF_', 'struct ioctl_gntalloc_alloc_gref', 'domid flags count index IDS:gref_ids'),
      ...offsets('DEALLOC_GREF_', 'struct ioctl_gntalloc_dealloc_gref', 'index count'),
      DEALLOC_GREF_SIZE: 'sizeof(struct ioctl_gntalloc_dealloc_gref)',
    },
  },
  grant_table: {
    headers: [...xenHeaders, 'xen/grant_table.h'],
    C: {
      ...offsets('GRANT_', 'struct grant_entry_v1', 'flags domid frame'),
      GRANT_ENTRY_SIZE: 'sizeof(struct grant_entry_v1)',
      GRANTS_PER_PAGE: '4096 / sizeof(struct grant_entry_v1)',
    },
  },
  event_channel: { headers: [...xenHeaders, 'xen/xen.h', 'xen/event_channel.h'] },
  xenbus: { headers: [...xenHeaders, 'xen/io/xenbus.h'] },
  xs_wire: {
    headers: ['errno.h', ...xenHeaders, 'xen/io/xs_wire.h'],
    C: {
      ...offsets('XSD_SOCKMSG_', 'struct xsd_sockmsg', 'type req_id tx_id len'),
      XSD_SOCKMSG_SIZE: 'sizeof(struct xsd_sockmsg)',
    },
  },

  virtio_net: {
    headers: ['stddef.h', 'linux/virtio_net.h'],
    C: {
      ...offsets(
        'VNET_',
        'struct virtio_net_hdr_v1',
        'flags gso_type hdr_len gso_size csum_start csum_offset',
      ),
      ...offsets('VNET_', 'struct virtio_net_hdr_v1', 'num_buffers'),
      VIRTIO_NET_HDR_SIZE: 'sizeof(struct virtio_net_hdr)',
      VIRTIO_NET_HDR_V1_SIZE: 'sizeof(struct virtio_net_hdr_v1)',
    },
    NEWER: { VIRTIO_NET_HDR_GSO_UDP_L4: { since: '6.2', value: 5 } },
  },
  if_tun: {
    headers: ['stddef.h', 'sys/ioctl.h', 'linux/if.h', 'linux/if_tun.h'],
    C: {
      IFREQ_NAME: 'offsetof(struct ifreq, ifr_name)',
      IFREQ_FLAGS: 'offsetof(struct ifreq, ifr_flags)',
      IFREQ_SIZE: 'sizeof(struct ifreq)',
    },
    NEWER: { TUN_F_USO4: { since: '6.2', value: 0x20 }, TUN_F_USO6: { since: '6.2', value: 0x40 } },
  },
  mman: { headers: ['sys/mman.h'] },
  userfaultfd: {
    headers: ['stddef.h', 'stdint.h', 'sys/ioctl.h', 'sys/syscall.h', 'linux/userfaultfd.h'],
    C: {
      SYS_USERFAULTFD_X86_64: 'PACKED(SYS_userfaultfd, 323)',
      SYS_USERFAULTFD_GENERIC: '282', // asm-generic/unistd.h's number; this machine's headers have only their own
      UFFDIO_API_API: 'offsetof(struct uffdio_api, api)',
      UFFDIO_API_FEATURES: 'offsetof(struct uffdio_api, features)',
      UFFDIO_API_SIZE: 'sizeof(struct uffdio_api)',
      ...offsets('UFFDIO_RANGE_', 'struct uffdio_range', 'start len'),
      UFFDIO_RANGE_SIZE: 'sizeof(struct uffdio_range)',
      ...offsets('UFFDIO_REGISTER_', 'struct uffdio_register', 'range mode'),
      UFFDIO_REGISTER_SIZE: 'sizeof(struct uffdio_register)',
      // struct uffdio_move came with Linux 6.8: where the header lacks it, the same fields in the same order.
      ...offsets('UFFDIO_MOVE_', UFFDIO_MOVE, 'dst src len mode move'),
      UFFDIO_MOVE_SIZE: `sizeof(${UFFDIO_MOVE})`,
    },
    NEWER: {
      UFFD_FEATURE_MOVE: { since: '6.8', value: 0x10000 },
      UFFDIO_MOVE: { since: '6.8', value: 0xc028aa05 },
      UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES: { since: '6.8', value: 2 },
    },
  },
  fcntl: { headers: ['fcntl.h'] },
  eventfd: { headers: ['sys/eventfd.h'] },
  sched: { headers: ['sched.h'] },
  poll: {
    headers: ['stddef.h', 'poll.h'],
    C: {
      ...offsets('POLLFD_', 'struct pollfd', 'fd events revents'),
      POLLFD_SIZE: 'sizeof(struct pollfd)',
    },
  },
  epoll: {
    headers: ['stddef.h', 'stdint.h', 'sys/epoll.h'],
    // The generic layout is that of an unpacked struct; the packed one is what this machine's header says.
    C: {
      EPOLL_EVENT_EVENTS: 'offsetof(struct epoll_event, events)',
      EPOLL_EVENT_DATA_X86_64: 'PACKED(offsetof(struct epoll_event, data), 4)',
      EPOLL_EVENT_SIZE_X86_64: 'PACKED(sizeof(struct epoll_event), 12)',
      EPOLL_EVENT_DATA_GENERIC: 'offsetof(struct { uint32_t events; uint64_t data; }, data)',
      EPOLL_EVENT_SIZE_GENERIC: 'sizeof(struct { uint32_t events; uint64_t data; })',
    },
  },
  socket: {
    headers: ['stddef.h', 'sys/socket.h', 'sys/un.h', 'netinet/in.h'],
    C: {
      ...offsets(
        'MSGHDR_',
        'struct msghdr',
        'NAME:msg_name NAMELEN:msg_namelen IOV:msg_iov IOVLEN:msg_iovlen',
      ),
      ...offsets('MSGHDR_', 'struct msghdr', 'CONTROL:msg_control CONTROLLEN:msg_controllen FLAGS:msg_flags'),
      MSGHDR_SIZE: 'sizeof(struct msghdr)',
      ...offsets('CMSG_', 'struct cmsghdr', 'LEN_OFFSET:cmsg_len LEVEL:cmsg_level TYPE:cmsg_type'),
      CMSG_HEADER_SIZE: 'CMSG_LEN(0)',
      CMSG_ALIGNMENT: 'CMSG_ALIGN(1)',
      ...offsets('UCRED_', 'struct ucred', 'pid uid gid'),
      UCRED_SIZE: 'sizeof(struct ucred)',
      ...offsets('SUN_', 'struct sockaddr_un', 'FAMILY:sun_family PATH:sun_path'),
      SUN_PATH_MAX: 'sizeof(((struct sockaddr_un *)0)->sun_path)',
      SOCKADDR_UN_SIZE: 'sizeof(struct sockaddr_un)',
      MMSGHDR_LEN: 'offsetof(struct mmsghdr, msg_len)',
      MMSGHDR_SIZE: 'sizeof(struct mmsghdr)',
      ...offsets('SIN_', 'struct sockaddr_in', 'FAMILY:sin_family PORT:sin_port ADDR:sin_addr'),
      SOCKADDR_IN_SIZE: 'sizeof(struct sockaddr_in)',
    },
  },
  uio: {
    headers: ['stddef.h', 'linux/uio.h', 'linux/fs.h'],
    C: {
      ...offsets('IOV_', 'struct iovec', 'BASE:iov_base LEN:iov_len'),
      IOVEC_SIZE: 'sizeof(struct iovec)',
    },
  },
  aio: {
    headers: ['stddef.h', 'linux/aio_abi.h', 'sys/syscall.h'],
    C: {
      NR_io_setup: 'SYS_io_setup',
      NR_io_destroy: 'SYS_io_destroy',
      NR_io_getevents: 'SYS_io_getevents',
      NR_io_submit: 'SYS_io_submit',
      IOCB_OPCODE: 'offsetof(struct iocb, aio_lio_opcode)',
      IOCB_FILDES: 'offsetof(struct iocb, aio_fildes)',
      IOCB_BUF: 'offsetof(struct iocb, aio_buf)',
      IOCB_NBYTES: 'offsetof(struct iocb, aio_nbytes)',
      IOCB_FLAGS: 'offsetof(struct iocb, aio_flags)',
      IOCB_RESFD: 'offsetof(struct iocb, aio_resfd)',
      IOCB_SIZE: 'sizeof(struct iocb)',
      IO_EVENT_SIZE: 'sizeof(struct io_event)',
    },
  },
  if_ether: {
    headers: ['stddef.h', 'linux/if_ether.h'],
    C: {
      ...offsets('ETH_', 'struct ethhdr', 'DEST:h_dest SOURCE:h_source PROTO:h_proto'),
      VLAN_HLEN: '2 * sizeof(__be16)', // include/linux/if_vlan.h, not exported: tag control, ethertype
    },
  },
  arp: {
    headers: ['stddef.h', 'netinet/if_ether.h'],
    C: {
      ...offsets('ARP_', 'struct ether_arp', 'HRD:arp_hrd PRO:arp_pro HLN:arp_hln PLN:arp_pln OP:arp_op'),
      ...offsets('ARP_', 'struct ether_arp', 'SHA:arp_sha SPA:arp_spa TPA:arp_tpa'),
      ARP_SIZE: 'sizeof(struct ether_arp)',
    },
  },
  icmpv6: { headers: ['linux/icmpv6.h'] },
  neighbour_discovery: {
    headers: ['stddef.h', 'netinet/icmp6.h'],
    C: {
      ND_TARGET: 'offsetof(struct nd_neighbor_advert, nd_na_target)',
      ND_OPTIONS: 'sizeof(struct nd_neighbor_advert)',
      ND_RS_OPTIONS: 'sizeof(struct nd_router_solicit)',
    },
  },
  llc: { headers: ['linux/llc.h'] },
  inet: {
    headers: [
      'stddef.h',
      'linux/in.h',
      'linux/in6.h',
      'linux/ip.h',
      'linux/ipv6.h',
      'linux/tcp.h',
      'linux/udp.h',
    ],
    C: {
      ...offsets('IPHDR_', 'struct iphdr', 'tot_len id frag_off ttl protocol check saddr daddr'),
      IPHDR_SIZE: 'sizeof(struct iphdr)',
      ...offsets('IPV6HDR_', 'struct ipv6hdr', 'payload_len nexthdr hop_limit saddr daddr'),
      IPV6HDR_SIZE: 'sizeof(struct ipv6hdr)',
      ...offsets('TCPHDR_', 'struct tcphdr', 'source dest seq ack_seq window check'),
      TCPHDR_DOFF: 'offsetof(struct tcphdr, window) - 2', // bit fields have no offsetof
      TCPHDR_FLAGS: 'offsetof(struct tcphdr, window) - 1',
      TCPHDR_SIZE: 'sizeof(struct tcphdr)',
      ...Object.fromEntries(
        ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'CWR'].map((flag) => [
          `TCP_FLAG_${flag}`,
          `__builtin_bswap32(TCP_FLAG_${flag}) >> 16`, // the header has them in the big-endian word at offset 12
        ]),
      ),
      ...offsets('UDPHDR_', 'struct udphdr', 'source dest len check'),
      UDPHDR_SIZE: 'sizeof(struct udphdr)',
    },
  },
  io_uring: {
    headers: ['stddef.h', 'sys/syscall.h', 'linux/io_uring.h'],
    C: {
      ...offsets(
        'SQE_',
        'struct io_uring_sqe',
        'opcode flags ioprio fd off addr len OP_FLAGS:rw_flags user_data',
      ),
      SQE_BUF_INDEX: 'offsetof(struct io_uring_sqe, buf_index)',
      SQE_SIZE: 'sizeof(struct io_uring_sqe)',
      ...offsets('CQE_', 'struct io_uring_cqe', 'user_data res flags'),
      CQE_SIZE: 'sizeof(struct io_uring_cqe)',
      ...offsets(
        'PARAMS_',
        'struct io_uring_params',
        'sq_entries cq_entries flags sq_thread_cpu sq_thread_idle',
      ),
      ...offsets('PARAMS_', 'struct io_uring_params', 'features wq_fd sq_off cq_off'),
      PARAMS_SIZE: 'sizeof(struct io_uring_params)',
      ...offsets(
        'SQ_OFF_',
        'struct io_sqring_offsets',
        'head tail ring_mask ring_entries flags dropped array',
      ),
      ...offsets(
        'CQ_OFF_',
        'struct io_cqring_offsets',
        'head tail ring_mask ring_entries overflow cqes flags',
      ),
      // The last u64 of each: resv2 until Linux 6.5, then user_addr.
      SQ_OFF_USER_ADDR: 'sizeof(struct io_sqring_offsets) - 8',
      CQ_OFF_USER_ADDR: 'sizeof(struct io_cqring_offsets) - 8',
      ...offsets('GETEVENTS_', 'struct io_uring_getevents_arg', 'sigmask sigmask_sz ts'),
      GETEVENTS_SIZE: 'sizeof(struct io_uring_getevents_arg)',
    },
    NEWER: {
      IORING_SETUP_NO_MMAP: { since: '6.5', value: 0x4000 },
      IORING_SETUP_NO_SQARRAY: { since: '6.6', value: 0x10000 },
    },
  },
  netlink: {
    headers: ['stddef.h', 'sys/socket.h', 'linux/netlink.h'],
    C: {
      ...offsets('SOCKADDR_NL_', 'struct sockaddr_nl', 'FAMILY:nl_family PID:nl_pid GROUPS:nl_groups'),
      SOCKADDR_NL_SIZE: 'sizeof(struct sockaddr_nl)',
      ...offsets(
        'NLMSG_',
        'struct nlmsghdr',
        'LEN:nlmsg_len TYPE:nlmsg_type FLAGS:nlmsg_flags SEQ:nlmsg_seq',
      ),
      NLMSG_PID: 'offsetof(struct nlmsghdr, nlmsg_pid)',
      ...offsets('NLMSGERR_', 'struct nlmsgerr', 'error msg'),
      NLMSGERR_SIZE: 'sizeof(struct nlmsgerr)',
      ...offsets('NLA_', 'struct nlattr', 'LEN:nla_len TYPE:nla_type'),
      NLA_TYPE_MASK: '(unsigned short)NLA_TYPE_MASK',
    },
  },
  rtnetlink: {
    headers: [
      'stddef.h',
      'sys/socket.h',
      'linux/if.h',
      'linux/rtnetlink.h',
      'linux/if_link.h',
      'linux/if_addr.h',
      'linux/neighbour.h',
    ],
    C: {
      ...offsets(
        'IFINFO_',
        'struct ifinfomsg',
        'FAMILY:ifi_family TYPE:ifi_type INDEX:ifi_index FLAGS:ifi_flags',
      ),
      IFINFO_CHANGE: 'offsetof(struct ifinfomsg, ifi_change)',
      IFINFO_SIZE: 'sizeof(struct ifinfomsg)',
      ...offsets('IFADDR_', 'struct ifaddrmsg', 'FAMILY:ifa_family PREFIXLEN:ifa_prefixlen FLAGS:ifa_flags'),
      ...offsets('IFADDR_', 'struct ifaddrmsg', 'SCOPE:ifa_scope INDEX:ifa_index'),
      IFADDR_SIZE: 'sizeof(struct ifaddrmsg)',
      ...offsets('RTMSG_', 'struct rtmsg', 'FAMILY:rtm_family DST_LEN:rtm_dst_len TABLE:rtm_table'),
      ...offsets('RTMSG_', 'struct rtmsg', 'PROTOCOL:rtm_protocol SCOPE:rtm_scope TYPE:rtm_type'),
      RTMSG_SIZE: 'sizeof(struct rtmsg)',
      ...offsets(
        'NDMSG_',
        'struct ndmsg',
        'FAMILY:ndm_family IFINDEX:ndm_ifindex STATE:ndm_state FLAGS:ndm_flags',
      ),
      NDMSG_SIZE: 'sizeof(struct ndmsg)',
    },
  },
  ethtool: {
    headers: ['stddef.h', 'sys/socket.h', 'linux/if.h', 'linux/sockios.h', 'linux/ethtool.h'],
    C: {
      IFREQ_DATA: 'offsetof(struct ifreq, ifr_data)',
      ...offsets('SSET_INFO_', 'struct ethtool_sset_info', 'MASK:sset_mask data'),
      ...offsets('GSTRINGS_', 'struct ethtool_gstrings', 'SET:string_set len data'),
      ...offsets('FEATURES_', 'struct ethtool_gfeatures', 'COUNT:size BLOCKS:features'),
      ...offsets('GET_FEATURES_', 'struct ethtool_get_features_block', 'available active'),
      GET_FEATURES_BLOCK_SIZE: 'sizeof(struct ethtool_get_features_block)',
      ...offsets('SET_FEATURES_', 'struct ethtool_set_features_block', 'valid requested'),
      SET_FEATURES_BLOCK_SIZE: 'sizeof(struct ethtool_set_features_block)',
    },
  },
  nf_tables: {
    headers: [
      'linux/netfilter.h',
      'linux/netfilter/nfnetlink.h',
      'linux/netfilter/nf_tables.h',
      'sys/socket.h',
    ],
    C: { NFGENMSG_SIZE: 'sizeof(struct nfgenmsg)' },
    NEWER: { NFTA_DEVICE_PREFIX: { since: '6.17', value: 2 } },
  },
  resource: {
    headers: ['stddef.h', 'sys/resource.h'],
    C: { RUSAGE_SIZE: 'sizeof(struct rusage)', RUSAGE_NVCSW: 'offsetof(struct rusage, ru_nvcsw)' },
  },
  if_packet: {
    headers: ['stddef.h', 'sys/socket.h', 'linux/if_packet.h'],
    C: {
      ...offsets('PACKET_MREQ_', 'struct packet_mreq', 'IFINDEX:mr_ifindex TYPE:mr_type ALEN:mr_alen'),
      PACKET_MREQ_ADDRESS: 'offsetof(struct packet_mreq, mr_address)',
      PACKET_MREQ_SIZE: 'sizeof(struct packet_mreq)',
    },
  },
  pkt_sched: {
    headers: ['stddef.h', 'sys/socket.h', 'linux/rtnetlink.h', 'linux/pkt_sched.h', 'linux/pkt_cls.h'],
    C: {
      ...offsets('TCMSG_', 'struct tcmsg', 'FAMILY:tcm_family IFINDEX:tcm_ifindex HANDLE:tcm_handle'),
      ...offsets('TCMSG_', 'struct tcmsg', 'PARENT:tcm_parent INFO:tcm_info'),
      TCMSG_SIZE: 'sizeof(struct tcmsg)',
    },
  },
  bpf_insn: {
    headers: ['stddef.h', 'linux/bpf.h', 'linux/bpf_common.h'],
    C: {
      ...offsets('INSN_', 'struct bpf_insn', 'code off imm'),
      INSN_SIZE: 'sizeof(struct bpf_insn)',
      MAX_BPF_STACK: '512', // linux/filter.h, not exported
    },
  },
  bpf_skb: {
    headers: ['stddef.h', 'linux/bpf.h', 'linux/pkt_cls.h', 'linux/if_packet.h'],
    C: {
      ...offsets('SKB_', 'struct __sk_buff', 'len pkt_type mark protocol vlan_present vlan_tci'),
      ...offsets('SKB_', 'struct __sk_buff', 'ingress_ifindex ifindex cb data data_end gso_size'),
    },
  },
  bpf: {
    headers: ['stddef.h', 'linux/bpf.h'],
    C: {
      ...offsets(
        'MAP_CREATE_',
        'union bpf_attr',
        'TYPE:map_type key_size value_size max_entries FLAGS:map_flags NAME:map_name',
      ),
      ...offsets('MAP_ELEM_', 'union bpf_attr', 'FD:map_fd key value flags'),
      ...offsets(
        'BATCH_',
        'union bpf_attr',
        'IN:batch.in_batch OUT:batch.out_batch KEYS:batch.keys VALUES:batch.values COUNT:batch.count MAP_FD:batch.map_fd',
      ),
      ...offsets('PROG_LOAD_', 'union bpf_attr', 'TYPE:prog_type insn_cnt insns license log_level log_size'),
      ...offsets('PROG_LOAD_', 'union bpf_attr', 'log_buf NAME:prog_name'),
      ...offsets('TEST_RUN_', 'union bpf_attr', 'PROG_FD:test.prog_fd RETVAL:test.retval REPEAT:test.repeat'),
      ...offsets('TEST_RUN_', 'union bpf_attr', 'DATA_SIZE_IN:test.data_size_in DATA_IN:test.data_in'),
      ...offsets('TEST_RUN_', 'union bpf_attr', 'DATA_SIZE_OUT:test.data_size_out DATA_OUT:test.data_out'),
      ...offsets('TEST_RUN_', 'union bpf_attr', 'DURATION:test.duration'),
      GET_ID: 'offsetof(union bpf_attr, prog_id)',
      ...offsets('INFO_', 'union bpf_attr', 'FD:info.bpf_fd LEN:info.info_len POINTER:info.info'),
      ...offsets('PROG_INFO_', 'struct bpf_prog_info', 'type id XLATED_LEN:xlated_prog_len name'),
      PROG_INFO_SIZE: 'offsetof(struct bpf_prog_info, name) + BPF_OBJ_NAME_LEN',
      ...offsets('MAP_INFO_', 'struct bpf_map_info', 'type id key_size value_size max_entries name'),
      MAP_INFO_SIZE: 'offsetof(struct bpf_map_info, name) + BPF_OBJ_NAME_LEN',
      ...offsets('LINK_INFO_', 'struct bpf_link_info', 'type id prog_id TCX_IFINDEX:xdp.ifindex'),
      LINK_INFO_TCX_ATTACH_TYPE: 'offsetof(struct bpf_link_info, xdp.ifindex) + 4',
      LINK_INFO_SIZE: 'offsetof(struct bpf_link_info, xdp.ifindex) + 8',
      ...offsets('LINK_CREATE_', 'union bpf_attr', 'PROG_FD:link_create.prog_fd FLAGS:link_create.flags'),
      ...offsets('LINK_CREATE_', 'union bpf_attr', 'TARGET_IFINDEX:link_create.target_ifindex'),
      ...offsets('LINK_CREATE_', 'union bpf_attr', 'ATTACH_TYPE:link_create.attach_type'),
      LINK_CREATE_TCX_RELATIVE_ID: 'offsetof(union bpf_attr, link_create.target_btf_id)',
      LINK_CREATE_TCX_EXPECTED_REVISION: 'offsetof(union bpf_attr, link_create.target_btf_id) + 8',
      ...offsets('QUERY_', 'union bpf_attr', 'TARGET_IFINDEX:query.target_fd ATTACH_TYPE:query.attach_type'),
      ...offsets('QUERY_', 'union bpf_attr', 'PROG_IDS:query.prog_ids COUNT:query.prog_cnt'),
      // After prog_attach_flags, itself since Linux 6.0: link_ids, link_attach_flags, revision, each a u64.
      QUERY_LINK_IDS: 'offsetof(union bpf_attr, query.prog_cnt) + 16',
      QUERY_REVISION: 'offsetof(union bpf_attr, query.prog_cnt) + 32',
    },
    NEWER: {
      BPF_TCX_INGRESS: { since: '6.6', value: 46 },
      BPF_TCX_EGRESS: { since: '6.6', value: 47 },
      BPF_LINK_TYPE_TCX: { since: '6.6', value: 11 },
      BPF_F_BEFORE: { since: '6.6', value: 8 },
      BPF_F_AFTER: { since: '6.6', value: 16 },
      BPF_F_ID: { since: '6.6', value: 32 },
      BPF_F_LINK: { since: '6.6', value: 8192 },
    },
  },
};
