# SPDX-License-Identifier: MIT
"""terminal.py TEXT ACTION COMMAND...: COMMAND leads a session on a terminal of its
own. When TEXT has appeared there, ACTION: `interrupt` (Ctrl-C), `hangup` or `none`.
What appeared goes to stdout, the exit status is COMMAND's, as a shell has it."""
import fcntl, os, pty, select, signal, struct, sys, termios, time

text, action, command = sys.argv[1].encode(), sys.argv[2], sys.argv[3:]
pid, master = pty.fork()
if pid == 0:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

seen, acted, limit = b"", False, time.monotonic() + 20
while time.monotonic() < limit:
    if not acted and text in seen:
        acted = True
        if action == "interrupt":
            os.write(master, b"\x03")
        elif action == "hangup":
            os.close(master)
            break
    if not select.select([master], [], [], 0.1)[0]:
        continue
    try:
        more = os.read(master, 4096)
    except OSError:
        more = b""
    if not more:
        break
    seen += more
sys.stdout.write(seen.decode().replace("\r\n", "\n"))
sys.stdout.flush()
while time.monotonic() < limit:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
    time.sleep(0.05)
os.kill(pid, signal.SIGKILL)
sys.exit("terminal.py: it did not end")
