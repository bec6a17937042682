"""A file of callers, as an operator would write it."""

from dataclasses import dataclass, field
from pathlib import Path

from inventory_grpc.infrastructure.callers_file import hash_of, new_token

Metadata = tuple[tuple[str, str], ...]


def bearing(token: str) -> Metadata:
    """Return what a caller sends to show *token*."""
    return (("authorization", f"Bearer {token}"),)


@dataclass
class Keyring:
    """A file of callers, written anew with every change."""

    path: Path
    entries: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(
        self,
        actor: str,
        role: str,
        *,
        stores: list[str] | None = None,
        until: str = "",
        certificates: list[str] | None = None,
    ) -> str:
        """Give *actor* one more token; return it."""
        token = new_token()
        entry = self.entries.setdefault(actor, {"tokens": []})
        entry["role"] = f'"{role}"'
        if stores is not None:
            entry["stores"] = str(stores)
        if certificates is not None:
            entry["certificates"] = str(certificates)
        tokens = entry["tokens"]
        assert isinstance(tokens, list)
        tokens.append(
            f'{{ sha256 = "{hash_of(token)}"' + (f", until = {until}" if until else "") + " }"
        )
        self.write()
        return token

    def drop_first_token(self, actor: str) -> None:
        tokens = self.entries[actor]["tokens"]
        assert isinstance(tokens, list)
        del tokens[0]
        if not tokens:
            del self.entries[actor]
        self.write()

    def write(self) -> None:
        lines: list[str] = []
        for actor, entry in self.entries.items():
            lines.append(f"[{actor}]")
            for key, value in entry.items():
                shown = f"[{', '.join(value)}]" if isinstance(value, list) else value
                lines.append(f"{key} = {shown}")
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
