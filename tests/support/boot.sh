#!/bin/sh
# Boots a systemd as the first process of namespaces of its own: boot.sh SHARED PYTHON PACKAGES CHECKOUT
# It runs SHARED/steps.sh. Its file system is a copy of this machine's in memory, without networks.
set -eu
[ $$ = 1 ] || { echo "boot.sh: only the first process of its own namespaces may boot"; exit 1; }
shared=$1 python=$2 packages=$3 checkout=$4
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for name in null zero full random urandom tty; do
  touch "dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mknod dev/disk b 7 0 # no service may see it

rm -rf opt/* etc/systemd/system
mkdir -p opt/python opt/packages opt/checkout etc/systemd/system srv/shared
mount --bind "$python" opt/python
mount --bind "$packages" opt/packages
mount --bind "$checkout" opt/checkout
mount -o remount,bind,ro opt/checkout
echo /opt/python/lib > etc/ld.so.conf.d/python.conf # it may have been built for another folder
chroot . ldconfig
mount --bind "$shared" srv/shared
# of all that a start of Debian does, only the journal
find usr/lib/systemd/system/sysinit.target.wants ! -type d ! -name 'systemd-journal*' -delete
cat > etc/systemd/system/default.target <<'END'
[Unit]
Requires=basic.target steps.service
AllowIsolate=yes
END
cat > etc/systemd/system/steps.service <<'END'
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sh -eux /srv/shared/steps.sh > /srv/shared/told 2>&1; echo $? > /srv/shared/code'
ExecStopPost=systemctl poweroff --force --force
END
printf '%032d\n' 1 > etc/machine-id

ip link set lo up
mkdir old
pivot_root . old
umount -l old
mount --make-rshared / # as systemd itself does on a machine; credentials need it
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
  /lib/systemd/systemd --log-target=journal
