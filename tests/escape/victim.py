"""What the human has besides the session: processes and sockets. Lives until it is killed."""
import ctypes, os, pty, signal, socket, sys, tempfile

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
port = listen(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
# Machines of the lab share their network, and with it these names.
listen(socket.AF_UNIX, f"\0escape-{name}-{port}")
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
terminal, other = pty.openpty()
secret = os.open(f"{home}/.ssh/id_ed25519", os.O_RDONLY)
for path in [f"/tmp/mine-{name}", f"/var/tmp/mine-{name}", f"/dev/shm/mine-{name}"]:
    open(path, "w").write("SECRET")

def signalled(*_):
    """Whoever's signal arrives can see so by this process's name."""
    open("/proc/self/comm", "w").write("signalled")

signal.signal(signal.SIGIO, signalled)
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 4096, 0o1600)
libc.shmat(segment, None, 0)
# It goes with this process; until then others can still attach it.
libc.shmctl(segment, 0, None)
with open(f"{home}/victim.new", "w") as facts:
    facts.write(f"{os.getpid()} {port} {udp.getsockname()[1]} {os.ttyname(other)} {secret} {segment}")
os.rename(f"{home}/victim.new", f"{home}/victim")
while True:
    os.read(0, 1) or os._exit(0)
