"""``python -m tests.mutants [NAME...]``: try all mutants, or those named; exit code 1 when one lives."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.trial import Copy, check_sound, try_mutant


def main(names: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    with tempfile.TemporaryDirectory(prefix="yeeter-mutants-") as folder:
        copy = Copy(Path(folder))
        print(f"{len(chosen)} mutants; their tests on the tree as it is ...", flush=True)
        if broken := check_sound(copy, chosen):
            print(broken, "the tests fail without any mutant", sep="\n")
            return 1
        living = []
        for mutant in chosen:
            result = try_mutant(copy, mutant)
            verdict = f"caught by {result.failed}" if result.is_caught else f"LIVES: {mutant.promise}\n{result.output}"
            print(f"{mutant.name:40} {result.seconds:6.1f} s  {verdict}", flush=True)
            if not result.is_caught:
                living.append(mutant.name)
    print(f"{len(chosen) - len(living)} of {len(chosen)} caught, {len(living)} living")
    return 1 if living else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
