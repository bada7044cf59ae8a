"""Generate `src/natter/v1` from the schema in `natter/v1`.

`--check` generates into a temporary folder instead and fails when the result differs from what is committed.
"""

import argparse
import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SCHEMAS = sorted((HERE / "natter" / "v1").glob("*.proto"))


def generate(target: Path) -> None:
    subprocess.run(  # noqa: S603 - fixed arguments
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{HERE}",
            f"--python_out={target}",
            f"--pyi_out={target}",
            *map(str, SCHEMAS),
        ],
        check=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed code, change nothing")
    if not parser.parse_args().check:
        generate(HERE / "src")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        made = sorted(path.relative_to(folder) for path in Path(folder).rglob("*_pb2.py*"))
        _, differing, missing = filecmp.cmpfiles(folder, HERE / "src", [str(path) for path in made], shallow=False)
    committed = {path.relative_to(HERE / "src") for path in (HERE / "src").rglob("*_pb2.py*")}
    stale = [*differing, *missing, *map(str, committed - set(made))]
    if stale:
        sys.stderr.write(f"generated code differs from the schema, run `make proto`: {', '.join(stale)}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
