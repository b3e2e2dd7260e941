import { spawn } from "node:child_process"
import { once } from "node:events"

// Reads "add <group>" and "remove <group>", and kills the groups that are left when its input ends. It ends when the
// server closes it, or when the server is gone, however that happened: the kernel closes the pipe of a killed process.
const SCRIPT = `
trap '' HUP INT TERM
live=' '
while read -r change group; do
  case $change in
    add) live="$live$group " ;;
    remove) case $live in *" $group "*) live="\${live%% $group *} \${live#* $group }" ;; esac ;;
  esac
done
for group in $live; do kill -s KILL -- "-$group"; done 2>/dev/null
exit 0
`

/** Kills the process groups of running tasks if this process dies without stopping them itself. */
export interface OrphanGuard {
  readonly pid: number | undefined
  add(group: number): void
  remove(group: number): void
  /** Ends the guard; groups that were not removed are killed. */
  stop(): Promise<void>
}

/**
 * Starts one guard for all tasks of a server. A wrapper around every task would do the same for 1–2 ms and one process
 * more per task; this costs a line in a pipe.
 */
export function startOrphanGuard(): OrphanGuard {
  // A session of its own, so that what kills the server's process group or terminal leaves the guard to do its work.
  const guard = spawn("/bin/sh", ["-c", SCRIPT], { detached: true, stdio: ["pipe", "ignore", "ignore"], env: {} })
  const ended = once(guard, "exit").catch(() => undefined)
  // Tasks run all the same when somebody has killed the guard; only the protection is gone.
  guard.on("error", () => undefined)
  guard.stdin.on("error", () => undefined)
  return {
    pid: guard.pid,
    add: (group) => void guard.stdin.write(`add ${group}\n`),
    remove: (group) => void guard.stdin.write(`remove ${group}\n`),
    stop: async () => {
      guard.stdin.end()
      await ended
    },
  }
}
