# SPDX-License-Identifier: MIT
"""jobs.py SHELL NATPMP GATEWAY: what natpmp runs is, to the keys of a terminal, what it would be
without natpmp. SHELL (bash or zsh) is interactive, on a terminal of its own."""
import os, pty, re, select, signal, sys, time

shell, natpmp, gateway = sys.argv[1:]
start = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
tell = os.environ["GATEWAYD"], "--tell", os.environ["CONTROL"], "mappings"


class Terminal:
    def __init__(self):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1="$ ", TERM="dumb", HISTFILE="")
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(start[0], start)
        self.seen = ""
        self.type("unset zle_bracketed_paste; stty -echo; echo shell is' 'ready")
        self.expect("shell is ready")

    def type(self, line, end="\n"):
        os.write(self.master, (line + end).encode())

    def natpmp(self, words):
        self.type(f"{natpmp} -g {gateway} {words}")

    def key(self, letter):
        os.write(self.master, bytes([ord(letter) & 0x1F]))

    def expect(self, pattern, seconds=8):
        """Wait until that is on the screen, and forget all up to there."""
        limit = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                sys.exit(f"FAILED: {shell}: never seen: {pattern!r}, but {self.seen!r}")
            self.seen += os.read(self.master, 4096).decode(errors="replace")
        self.seen = self.seen[found.end():]
        return found

    def step(self, what):
        print(f"* {shell}: {what}", flush=True)
        self.type("echo next' 'step")
        self.expect("next step")

    def close(self):
        self.type("exit")
        self.type("exit")
        limit = time.monotonic() + 8
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.monotonic() > limit:
                os.kill(self.pid, signal.SIGKILL)
                sys.exit(f"FAILED: {shell} does not end")
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    os.read(self.master, 4096)
                except OSError:
                    pass


def count_to(n):
    return f"i=0; while [ $i -lt {n} ]; do i=$((i+1)); echo at $i; sleep 0.2; done"


terminal = Terminal()

# What is executed at once, and what a shell has to run: the same to whoever looks from outside.
for name, command in ("simple", "sh ./counting"), ("compound", "true; sh ./counting"):
    with open("counting", "w") as script:
        script.write(count_to(1000))
    terminal.step(f"{name}: Ctrl-C ends it, and a loop around it")
    terminal.type(f"for turn in 1 2 3; do echo turn $turn; {natpmp} -g {gateway} -p 8080 '{command}'; done; echo over' '$?")
    terminal.expect("turn 1")
    terminal.expect("at 2")
    terminal.key("C")
    terminal.type("echo after' 'it")
    if "turn 2" in terminal.expect("(?s).*after it").group():
        sys.exit("FAILED: the loop goes on")

    terminal.step(f"{name}: Ctrl-C ends a script around it")
    with open("looping", "w") as script:
        script.write(f"for turn in 1 2 3; do echo turn $turn; {natpmp} -g {gateway} -p 8080 '{command}'; done\n")
    terminal.type("bash ./looping")
    terminal.expect("turn 1")
    terminal.expect("at 2")
    terminal.key("C")
    terminal.type("echo after' 'it $?")
    if "turn 2" in terminal.expect("(?s).*after it 130").group():
        sys.exit("FAILED: the script goes on")

    terminal.step(f"{name}: Ctrl-Z stops it, bg and fg continue it")
    terminal.natpmp(f"-p 8080 '{command}'")
    terminal.expect("at 2")
    terminal.key("Z")
    terminal.expect("(?i)stopped|suspended")
    terminal.type("sleep 0.3; echo be' 'gin; sleep 0.6; echo en' 'd")
    terminal.expect("be gin")
    if "at " in terminal.expect("(?s).*en d").group():
        sys.exit("FAILED: it was not stopped")
    terminal.type("fg")
    terminal.expect("at [0-9]+")
    terminal.expect("at [0-9]+")
    terminal.key("Z")
    terminal.expect("(?i)stopped|suspended")
    terminal.type("bg")
    terminal.expect("at [0-9]+")
    terminal.expect("at [0-9]+")
    terminal.type("fg")
    terminal.expect("at [0-9]+")
    terminal.key("C")
    terminal.step(f"{name}: it is gone")

    terminal.step(f"{name}: in a pipeline, to both sides")
    terminal.natpmp(f"-p 8080 '{command}' | cat")
    terminal.expect("at 2")
    terminal.key("Z")
    terminal.expect("(?i)stopped|suspended")
    terminal.type("fg")
    terminal.expect("at [0-9]+")
    terminal.key("C")
    terminal.type("echo after' 'it")
    terminal.expect("after it")

for name, command in (
    ("simple", "sh ./asking"),
    ("compound", "true; read word </dev/tty; echo it read $word"),
):
    with open("asking", "w") as script:
        script.write("read word </dev/tty; echo it read $word")
    terminal.step(f"{name}: it reads the terminal")
    terminal.natpmp(f"-p 8080 '{command}; echo asked' 2>&1" if name == "compound" else f"-p 8080 '{command}'")
    time.sleep(0.3)
    terminal.type("hello")
    terminal.expect("it read hello")

    terminal.step(f"{name}: it reads the terminal, in a pipeline whose other end does so before")
    terminal.type(f"{natpmp} -g {gateway} -p 8080 'sleep 0.5; {command}' | sh -c 'read first </dev/tty; echo other read $first; cat'")
    time.sleep(0.3)  # zsh takes for its own what comes before the command runs
    terminal.type("one")
    terminal.expect("other read one")
    time.sleep(0.7)
    terminal.type("two")
    terminal.expect("it read two")

    terminal.step(f"{name}: it reads the terminal in the background: stopped until fg")
    terminal.type(f"{natpmp} -g {gateway} -p 8080 '{command}' &")
    terminal.type("sleep 1; jobs")
    terminal.expect("(?i)stopped|suspended")
    terminal.type("fg")
    time.sleep(0.3)
    terminal.type("later")
    terminal.expect("it read later")

    terminal.step(f"{name}: it writes with tostop")
    terminal.type("stty tostop")
    terminal.natpmp(f"-p 8080 '{count_to(3)}; echo said all'")
    terminal.expect("said all")
    terminal.type("stty -tostop")

terminal.step("the terminal is the shell's again, and nothing is left")
terminal.close()
if "->" in os.popen(" ".join(tell)).read():
    sys.exit("FAILED: mappings are left")
