"""A headless Chromium on the chat page, servers for it, and waiting. Used by drive.py."""
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PATIENCE = int(os.environ.get("FATHOM_PATIENCE", 60))  # seconds that anything may take on a busy machine


def wait(what, condition):
    """The first true value of condition(); fails with `what` when there is none in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.03)
    raise AssertionError(f"waited in vain for {what}")


class Fathom:
    """`fathom serve` with the shipped model on a free port; restart() uses the same one."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="fathom-page-")
        self.options = options
        self.port = 0
        self.start()

    def start(self):
        command = [os.environ.get("FATHOM_BIN", "build/fathom"), "serve", "--port", str(self.port), "--quiet",
                   "--database", self.database(), "--parallel", "4", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://[0-9.]+:([0-9]+)", line)
        assert found, f"the server said {line!r}"
        self.port = int(found.group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def database(self):
        return os.path.join(self.folder.name, "fathom.db")

    def add_key(self):
        command = [os.environ.get("FATHOM_BIN", "build/fathom"), "key", "add", "--database", self.database(), "someone"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return re.search(r"sk-[A-Za-z0-9_-]+", said).group(0)

    def set_price(self, model, *prices):
        command = [os.environ.get("FATHOM_BIN", "build/fathom"), "usage", "price", "--database", self.database(), model, *prices]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.kill()
        self.folder.cleanup()


class Recorded:
    """The page of a real server, with answers that are written here: `answers` maps a message to what the model says."""

    def __init__(self, fathom):
        self.answers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with urllib.request.urlopen(fathom.url + self.path) as reply:
                    body = reply.read()
                    self.send_response(reply.status)
                    for name in ("Content-Type", "Content-Security-Policy"):
                        self.send_header(name, reply.headers[name])
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = outer.answers[request["messages"][-1]["content"]]
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for at in range(0, len(text), 7):
                    self.event({"choices": [{"index": 0, "delta": {"content": text[at:at + 7]}, "finish_reason": None}]})
                self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                self.wfile.write(b"data: [DONE]\n\n")

            def event(self, data):
                self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Page:
    """One browser, which sees one page at a time."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--window-size=1200,850"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.seen = []  # URLs of all requests
        self.complaints = []  # what the browser's console said

    def close(self):
        self.driver.quit()

    def open(self, url, clean=True):
        self.driver.get(url + "/")
        if clean:
            self.js("localStorage.clear()")
            self.driver.refresh()
        wait("the models", lambda: self.js("return document.querySelectorAll('#model option').length"))
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def keys(self, *keys):
        """Keys to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def focused(self):
        return self.js("const e = document.activeElement; return e.id || e.textContent || e.tagName")

    def button(self, label, within=""):
        return wait(f"the button {label}", lambda: next(
            (b for b in self.all(f"{within} button") if b.is_displayed() and b.text == label), None))

    def ask(self, text):
        self.find("#prompt").send_keys(text, Keys.ENTER)

    def busy(self):
        return self.js("return document.querySelector('article[aria-busy=true]') !== null")

    def answered(self):
        """Waits for the answer's end; the last message."""
        wait("the end of the answer", lambda: not self.busy() and self.all("article.assistant"))
        return self.all("article")[-1]

    def ask_and_wait(self, text):
        before = len(self.all("article"))
        self.ask(text)
        wait("the message", lambda: len(self.all("article")) > before)
        return self.answered()

    def drain(self):
        """Takes the browser's logs over."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.seen.append(message["params"]["request"]["url"])
        self.complaints += [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
        return self.seen

    def screenshot(self, name):
        folder = os.environ.get("FATHOM_SCREENSHOTS")
        if folder:
            self.driver.save_screenshot(os.path.join(folder, f"{name}.png"))
