"""A real systemd runs the units as the handbook says: their sandbox, credentials and commands."""

import re
from pathlib import Path
from typing import Final

from tests.support.booted import booted
from tests.support.documents import text_of
from tests.support.server_process import ROOT

DOCUMENT: Final = ROOT / "scripts/deploy/systemd/README.md"
_BLOCK: Final = re.compile(r"^<!-- walk[^\n]* -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NOT_RUN: Final = re.compile(r"^(python3 -m venv|\S+/pip) .*\n", re.MULTILINE)
"""Packages are not downloaded: PREPARE installs those of the test."""

PREPARE: Final = """
mkdir -p /srv/copy/scripts/deploy
cp -r /opt/checkout/scripts/deploy/systemd /srv/copy/scripts/deploy
cd /srv/copy
/opt/python/bin/python3 -m venv --without-pip /opt/inventory-grpc
for folder in /opt/inventory-grpc/lib/python3*/site-packages; do
  printf '%s\\n' /opt/packages /opt/checkout /opt/checkout/generated > "$folder/parts.pth"
done
program=/opt/inventory-grpc/bin/inventory-grpc
printf '%s\\n' '#!/opt/inventory-grpc/bin/python3' \
  'from inventory_grpc.cli import main' 'main()' > $program
chmod 755 $program
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=inventory \
  -addext subjectAltName=DNS:localhost -keyout server.key -out server.crt 2> /dev/null

refuse() { if "$@"; then echo "it was allowed: $*"; exit 1; fi; }
look() {
  pid=$(systemctl show --property MainPID --value inventory-grpc)
  user=$(stat --format %u /proc/$pid)
}
service() { nsenter --target "$pid" --mount "$@"; }
"""

SANDBOX: Final = """
look
test "$user" -gt 1000
grep --quiet '^CapEff:[[:space:]]*0*$' /proc/$pid/status
grep --quiet '^NoNewPrivs:[[:space:]]*1$' /proc/$pid/status
# PrivateUsers: in its namespace are root and the service
test "$(wc -l < /proc/$pid/uid_map)" -eq 2
test -b /dev/disk
refuse service test -e /dev/disk
service test -c /dev/null
for folder in /usr /etc /var/lib; do refuse service touch $folder/made; done
"""

CREDENTIALS: Final = """
look
test "$(stat --format '%a %u' /etc/inventory-grpc/tls.key)" = '600 0'
key=/run/credentials/inventory-grpc.service/tls.key
test "$(service stat --format '%a %u' $key)" = "400 $user"
$program health --server localhost:50051 --ca server.crt --token-file checkout.token
"""

COPIES: Final = """
test "$(systemctl show --property Result --value inventory-grpc-backup)" = success
set -- /var/lib/private/inventory-grpc-backups/*
test $# -eq 1
test "$(stat --format '%a %u' "$1")" = "600 $user"
"""

SERVES: Final = "$program health\n"

STOPS: Final = """
systemctl stop inventory-grpc
test "$(systemctl show --property Result --value inventory-grpc)" = success
test "$(systemctl show --property ExecMainStatus --value inventory-grpc)" = 0
"""


def test_the_commands_of_the_handbook_work_with_a_real_systemd(tmp_path: Path) -> None:
    blocks = [_NOT_RUN.sub("", block) for block in _BLOCK.findall(text_of(DOCUMENT))]
    install, for_others, back_up, restore, upgrade = blocks
    restore = restore.replace("NAME.db", '"$(ls /var/lib/private/inventory-grpc-backups)"')
    steps = "\n".join(
        (
            *(PREPARE, install, SANDBOX, for_others, CREDENTIALS, back_up, COPIES),
            *(restore, SERVES, upgrade, SERVES, STOPS),
        )
    )
    told = booted(steps, tmp_path)
    assert told.code == 0, told.text
