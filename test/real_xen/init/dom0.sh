#!/bin/sh
# dom0's /init: Xen's daemons, then the agent that runs scenarios; the machine's power ends with it.
export PATH=/usr/sbin:/usr/bin:/usr/lib/xen/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mkdir -p /run/xen /run/xenstored /run/lock /run/netns /var/log/xen/console /var/log/lab
[ -d /sys/fs/bpf ] && mount -t bpf bpf /sys/fs/bpf
echo 4 >/proc/sys/kernel/printk
for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs tun; do
  modprobe $module || echo "lab: no module $module"
done
mount -t xenfs xenfs /proc/xen
ip link set lo up
hostname dom0

# XENSTORED
. /lab/boot.env
$XENSTORED --pid-file /run/xenstored.pid || echo "lab: $XENSTORED did not start"
xen-init-dom0 || echo 'lab: xen-init-dom0 failed'
xenconsoled --log=guest --pid-file=/run/xenconsoled.pid || echo 'lab: xenconsoled did not start'

stty -F /dev/ttyS1 raw -echo
node /netferry/dist/test/real_xen/dom0/agent.js </dev/null
echo "lab: the agent ended: $?"
poweroff -f
