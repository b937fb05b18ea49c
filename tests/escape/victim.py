"""What the human has besides the session: processes and sockets. Lives until it is killed."""
import os, pty, socket, sys, tempfile

home = os.path.expanduser("~")
name = os.path.basename(home)
keep = []

def listen(family, address):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind(address)
    server.listen(64)
    keep.append(server)
    return server

for path in [f"{home}/.ssh/agent.sock", f"{home}/docker.sock", f"/tmp/x11-{name}",
             f"{home}/.gnupg/S.gpg-agent", f"/tmp/tmux-{name}"]:
    listen(socket.AF_UNIX, path)
listen(socket.AF_UNIX, f"\0escape-{name}")
port = listen(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
terminal, other = pty.openpty()
secret = os.open(f"{home}/.ssh/id_ed25519", os.O_RDONLY)
for path in [f"/tmp/mine-{name}", f"/var/tmp/mine-{name}", f"/dev/shm/mine-{name}"]:
    open(path, "w").write("SECRET")
with open(f"{home}/victim.new", "w") as facts:
    facts.write(f"{os.getpid()} {port} {udp.getsockname()[1]} {os.ttyname(other)} {secret}")
os.rename(f"{home}/victim.new", f"{home}/victim")
while True:
    os.read(0, 1) or os._exit(0)
