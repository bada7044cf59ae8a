"""Starts the Chromium that is installed here; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

from natter_testing.browser.tab import Tab

CHROMIUM_VARIABLE: Final = "NATTER_CHROMIUM"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # Names ending in .local are resolved by multicast, which containers often do not have.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
_INSTRUMENTS: Final = Path(__file__).with_name("instruments.js")
_DEFAULT_SIZE: Final = (1000, 720)


class ChromiumMissingError(Exception):
    """No Chromium is installed, or it is not where the environment says."""


def find_chromium() -> Path:
    """The browser that `NATTER_CHROMIUM` names, else the one on the PATH. Raises ChromiumMissingError."""
    named = os.environ.get(CHROMIUM_VARIABLE)
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        where = f"{CHROMIUM_VARIABLE} names {named}, which is not there" if named else "none is on the PATH"
        raise ChromiumMissingError(f"no Chromium: {where}; on Debian `apt-get install chromium` brings it")
    return Path(found)


@contextmanager
def open_tab(folder: Path, microphone: Path | None, *, size: tuple[int, int] = _DEFAULT_SIZE) -> Generator[Tab]:
    """Start a Chromium of its own and open an empty tab; end it afterwards.

    Args:
        folder: where screenshots go. An error in the block leaves one there, and says so.
        microphone: WAV that the microphone plays once, from its start whenever a page opens the microphone
            (`microphone_file`); None: there is no microphone.
        size: of the window, in CSS pixels.
    """
    flags = list(_FLAGS)
    if microphone is not None:
        flags += [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}%noloop",
        ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        try:
            width, height = size
            page = browser.new_page(
                viewport={"width": width, "height": height},
                # Without a graphics card, animations take the processor that the models want.
                reduced_motion="reduce",
                # The flag above answers the question for the microphone; as with people, it is asked only once.
                permissions=[] if microphone is None else ["microphone"],
            )
            page.add_init_script(path=_INSTRUMENTS)
            tab = Tab(page, folder)
            try:
                yield tab
            except BaseException as error:
                error.add_note(tab.report())
                raise
        finally:
            browser.close()
