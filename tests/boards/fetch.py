# SPDX-License-Identifier: BSD-2-Clause
"""Fetches the device trees of Debian's kernels and of QEMU, and keeps them.

The trees are the kernel's files, so they are not part of this repository: they are taken out of
the distribution's kernel packages when the check first runs. apt works in a root of its own, with
the sources that this machine already has, so that neither the machine's list of architectures nor
its package state is touched. Nothing is installed and nothing in the packages is executed.
"""
import glob
import os
import re
import shutil
import subprocess
import tarfile

# What is fetched: the architecture, and what a kernel package of the right series is called.
KERNELS = {
    "arm64": r"^linux-image-6\.1\.0-[0-9]+-arm64-unsigned$",
    "armhf": r"^linux-image-6\.1\.0-[0-9]+-armmp$",
}

QEMU = {
    "aarch64": ["qemu-system-aarch64", "-cpu", "cortex-a57"],
    "arm": ["qemu-system-arm", "-cpu", "cortex-a15"],
    "riscv64": ["qemu-system-riscv64", "-bios", "none"],
}


class FetchError(Exception):
    """The trees cannot be had on this machine: a reason to skip, not to fail."""


def codename():
    try:
        with open("/etc/os-release", encoding="utf-8") as release:
            for line in release:
                if line.startswith("VERSION_CODENAME="):
                    return line.split("=", 1)[1].strip().strip('"')
    except OSError:
        pass
    raise FetchError("/etc/os-release names no release, so no kernel package can be chosen")


def own_suite(suite, release):
    return suite == release or suite.startswith(release + "-")


def sources_oneline(path, release):
    found = []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
            if not match:
                continue
            options, uri, suite, components = match.groups()
            if not own_suite(suite, release):
                continue
            kept = [word for word in (options or "").split() if not word.startswith("arch")]
            found.append("deb %s%s %s %s" % ("[%s] " % " ".join(kept) if kept else "",
                                             uri, suite, components.split("#")[0].strip()))
    return found


def sources_deb822(path, release):
    found = []
    with open(path, encoding="utf-8", errors="replace") as text:
        stanzas = re.split(r"\n\s*\n", text.read())
    for stanza in stanzas:
        fields = {}
        for line in stanza.splitlines():
            if re.match(r"[A-Za-z-]+:", line):
                name, value = line.split(":", 1)
                fields[name.lower()] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "") == "no":
            continue
        signed = fields.get("signed-by", "")
        option = "[signed-by=%s] " % signed if signed.startswith("/") else ""
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                if own_suite(suite, release):
                    found.append("deb %s%s %s %s" % (option, uri, suite,
                                                     fields.get("components", "main")))
    return found


def sources():
    """This machine's sources for its own release, one line each."""
    release = codename()
    found = []
    paths = ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*"))
    for path in paths:
        if not os.path.isfile(path):
            continue
        if path.endswith(".list"):
            found += sources_oneline(path, release)
        elif path.endswith(".sources"):
            found += sources_deb822(path, release)
    if not found:
        raise FetchError("apt has no source for the release " + release)
    return found


def apt_options(root, arch):
    """The options that make apt work in `root` as if this machine were an `arch` one."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    status = os.path.join(root, "status")
    with open(status, "w", encoding="utf-8"):
        pass
    listing = os.path.join(root, "sources.list")
    with open(listing, "w", encoding="utf-8") as out:
        out.write("\n".join(sources()) + "\n")
    settings = {
        "Dir::State": root + "/state",
        "Dir::State::lists": root + "/state/lists",
        "Dir::State::status": status,
        "Dir::Cache": root + "/cache",
        "Dir::Etc::SourceList": listing,
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
    }
    options = []
    for name, value in settings.items():
        options += ["-o", "%s=%s" % (name, value)]
    return options


def call(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **more)


def newest_package(options, pattern):
    listed = call(["apt-cache"] + options + ["search", "--names-only", pattern])
    names = [line.split()[0] for line in listed.stdout.splitlines()
             if line.split() and re.match(pattern, line.split()[0])]
    if not names:
        raise FetchError("apt-cache finds no package called " + pattern)
    return max(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def extract_trees(package, into):
    """Takes the .dtb files, and only those, out of a package; returns how many there were."""
    count = 0
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as deb:
        with tarfile.open(fileobj=deb.stdout, mode="r|") as archive:
            for member in archive:
                match = re.match(r"\./usr/lib/linux-image-[^/]+/(.+\.dtb)$", member.name)
                if not match or not member.isfile() or ".." in match.group(1).split("/"):
                    continue
                path = os.path.join(into, match.group(1))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as out:
                    shutil.copyfileobj(archive.extractfile(member), out)
                count += 1
    if deb.returncode != 0 or count == 0:
        raise FetchError("%s: dpkg-deb found no device trees in it" % os.path.basename(package))
    return count


def fetch_kernel(arch, boards, say):
    """Fills boards/ARCH unless it is there already; returns the package's name."""
    target = os.path.join(boards, arch)
    stamp = os.path.join(target, "PACKAGE")
    if os.path.isfile(stamp):
        with open(stamp, encoding="utf-8") as text:
            return text.read().strip()
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise FetchError(tool + " is not on this machine")
    root = os.path.abspath(os.path.join(boards, "apt-" + arch))
    options = apt_options(root, arch)
    say("%s: asking apt for the newest 6.1 kernel" % arch)
    update = call(["apt-get"] + options + ["-q", "update"], timeout=600)
    try:
        # One source of several may be broken for a while; what the others list is good enough.
        package = newest_package(options, KERNELS[arch])
    except FetchError as error:
        raise FetchError("%s; apt-get update said: %s" % (error, update.stdout[-300:])) from None
    say("%s: downloading %s" % (arch, package))
    got = call(["apt-get"] + options + ["-q", "download", package], cwd=root, timeout=1200)
    files = glob.glob(os.path.join(root, package + "_*.deb"))
    if got.returncode != 0 or not files:
        raise FetchError("apt-get download %s failed: %s" % (package, got.stdout[-400:]))
    fresh = target + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    count = extract_trees(files[0], fresh)
    with open(os.path.join(fresh, "PACKAGE"), "w", encoding="utf-8") as out:
        out.write(package + "\n")
    shutil.rmtree(target, ignore_errors=True)
    os.rename(fresh, target)
    shutil.rmtree(root)
    say("%s: %d trees" % (arch, count))
    return package


def trees(boards, arch):
    found = []
    for folder, _, names in os.walk(os.path.join(boards, arch)):
        found += [os.path.join(folder, name) for name in names if name.endswith(".dtb")]
    return sorted(found)


def fetch_qemu(boards, say):
    """Lets QEMU write its own trees; returns [(arch, path)] and the architectures left out."""
    folder = os.path.join(boards, "qemu")
    os.makedirs(folder, exist_ok=True)
    made, missing = [], []
    for arch, command in QEMU.items():
        if shutil.which(command[0]) is None:
            missing.append((arch, command[0] + " is not installed"))
            continue
        path = os.path.abspath(os.path.join(folder, arch + "-virt.dtb"))
        dump = call(["timeout", "60", command[0], "-M", "virt,dumpdtb=" + path] + command[1:] +
                    ["-m", "1G", "-display", "none", "-nic", "none"])
        if dump.returncode != 0 or not os.path.isfile(path):
            missing.append((arch, "%s: exit %d: %s" % (command[0], dump.returncode,
                                                       dump.stdout[-200:].strip())))
            continue
        made.append((arch, path))
    say("qemu: %d trees" % len(made))
    return made, missing
