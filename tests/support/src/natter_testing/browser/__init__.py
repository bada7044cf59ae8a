"""A real Chromium that talks to Natter: a microphone that plays a file, and everything that came back."""

from natter_testing.browser.chromium import ChromiumMissingError, open_tab
from natter_testing.browser.microphone import microphone_file
from natter_testing.browser.tab import Message, Sound, Tab

__all__ = ["ChromiumMissingError", "Message", "Sound", "Tab", "microphone_file", "open_tab"]
