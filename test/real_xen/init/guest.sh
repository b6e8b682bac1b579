#!/bin/sh
# A guest's /init: commands come by its console, one line each: a number and a shell command (test/real_xen/dom0/console.ts).
export PATH=/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
# What the kernel says would break into answers; it is in dmesg.
echo 1 >/proc/sys/kernel/printk
stty -echo -onlcr </dev/console
ip link set lo up
# netfront=PARAMETERS on the kernel's command line comes as a variable. None: without the driver.
[ "$netfront" = none ] || insmod /modules/xen_netfront.ko $(echo "$netfront" | tr , ' ')
echo "lab: guest is up"
while :; do
  read -r number seconds command || { sleep 1; continue; }
  case $number in ''|*[!0-9]*) continue ;; esac
  echo "@@begin $number"
  # By its path: busybox would take its own sh, and that its own ip and ping.
  timeout "$seconds" /bin/sh -c "$command" </dev/null 2>&1
  code=$?
  printf '\n@@end %s %s\n' "$number" "$code"
done
