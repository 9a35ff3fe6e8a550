"""Chromium without a screen, driven by chromedriver: what it is told to do, and what it says and asks for."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

import coshelf

__all__ = ["PATIENCE", "Log", "Opened", "Opens", "Tab", "started", "why_missing"]

PATIENCE = 60.0  # seconds
_LOOK = 0.02  # seconds between two looks at a page
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-color-profile=srgb",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no page leads anywhere else
    "--lang=en-US",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")

T = TypeVar("T")


def why_missing() -> str | None:
    """What these tests need and do not find; None if they can run."""
    if not any(map(shutil.which, _NAMES)):
        return "there is no Chromium (Debian's package chromium)"
    if shutil.which("chromedriver") is None:
        return "there is no chromedriver (Debian's package chromium-driver)"
    return None


@contextmanager
def started(profile: Path) -> Iterator[webdriver.Chrome]:
    """One browser. The driver's path is given, so that selenium looks for none."""
    options = Options()
    options.binary_location = next(found for found in map(shutil.which, _NAMES) if found)
    for switch in (*_SWITCHES, f"--user-data-dir={profile}", "--window-size=1100,800"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    os.environ["SE_OFFLINE"] = "true"
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


class Log:
    """What the pages of a browser said and asked for, in all its windows."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver
        self._events: list[dict[str, Any]] = []
        self._said: list[str] = []

    def _take(self) -> None:
        for line in self._driver.get_log("performance"):
            self._events.append(json.loads(line["message"])["message"])
        self._said += [f"{line['level']}: {line['message']}" for line in self._driver.get_log("browser")]

    def forget(self) -> None:
        """Begin anew with what is counted."""
        self._take()
        self._events.clear()
        self._said.clear()

    def complaints(self) -> list[str]:
        """What is on the consoles. What the policy of a page refuses is there, too."""
        self._take()
        return self._said

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        self._take()
        sent = [each for each in self._events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in sent]

    def transferred(self) -> int:
        """The bytes that came over the network."""
        self._take()
        done = [each for each in self._events if each["method"] == "Network.loadingFinished"]
        return int(sum(each["params"]["encodedDataLength"] for each in done))


class Tab:
    """One window.

    Attributes:
        driver: of the browser.
        log: what its pages say and ask for.
        origin: of the viewer.
    """

    def __init__(self, driver: webdriver.Chrome, start: str, log: Log) -> None:
        self.driver = driver
        self.log = log
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(start))
        self._start = start
        self._window = driver.current_window_handle

    # --- where it is -------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Open the start address."""
        self.driver.get(self._start)

    def go(self, path: str) -> None:
        """Open a page of the viewer."""
        self.driver.get(self.origin + path)

    def front(self) -> None:
        """Bring this window to the front."""
        self.driver.switch_to.window(self._window)

    @property
    def path(self) -> str:
        """Of the page that is shown."""
        return urlsplit(self.driver.current_url).path

    # --- what it shows -----------------------------------------------------------------------------------------------

    def all(self, selector: str) -> list[WebElement]:
        """The elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first element of a CSS selector, as soon as there is one."""
        return self.until(lambda: next(iter(self.all(selector)), None), selector)

    def text(self, selector: str = "body") -> str:
        """The text that a user sees."""
        return self.one(selector).text

    def until(self, ready: Callable[[], T | None], what: object = "") -> T:
        """Wait until a function returns a true value, and return it."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                found = ready()
            except StaleElementReferenceException:
                found = None
            if found:
                return found
            assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s, on {self.path}: {self.text()[:500]}"
            time.sleep(_LOOK)

    def until_shown(self, text: str, selector: str = "body") -> None:
        """Wait until a user sees a text."""
        self.until(lambda: text in self.text(selector), text)

    # --- what is done to it ------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def replace_text(self, text: str) -> None:
        """Type a text in place of all that is in the field with the focus."""
        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(text).perform()

    def click_link(self, text: str, selector: str = "body") -> None:
        """Follow the link that has a text, within an element."""

        def link() -> WebElement | None:
            return next((each for each in self.all(f"{selector} a") if each.text == text), None)

        self.until(link, text).click()

    def focused(self) -> WebElement:
        """The element that has the focus."""
        return self.driver.switch_to.active_element

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns. It runs beside the page's own, which a page cannot prevent."""
        return self.driver.execute_script(script, *arguments)

    def prefer(self, scheme: str) -> None:
        """Prefer the colours "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._tell("Emulation.setEmulatedMedia", {"features": features})

    def allow_scripts(self, *, allowed: bool) -> None:
        """Whether pages can run scripts."""
        self._tell("Emulation.setScriptExecutionDisabled", {"value": not allowed})

    def screenshot(self, path: Path, width: int = 1100, height: int = 760) -> None:
        """Write what a user sees to a file."""
        self.driver.set_window_size(width, height)
        self.driver.save_screenshot(str(path))

    def _tell(self, command: str, arguments: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(command, arguments)


Opens = Callable[..., Tab]
"""Shows a shelf in a new window: a fixture."""

Opened = Callable[..., coshelf.Shelf[Any, Any]]
"""Opens a shelf for the time of a test: a fixture."""
