// Brings the page up to date in place. Without this script all of it works, by links and forms.
const { Idiomorph } = globalThis

const lost = document.getElementById("lost")
let lostSince
let timer

/** A form that is open would change under the person's hands. */
const isEditing = () => document.querySelector("form[data-once]") !== null

function schedule() {
  clearTimeout(timer)
  if (document.hidden || isEditing()) return
  const main = document.getElementById("main")
  timer = setTimeout(refresh, Number(main.dataset.poll))
}

async function refresh() {
  try {
    const main = document.getElementById("main")
    const response = await fetch(location.href, {
      cache: "no-store",
      headers: { "if-none-match": main.dataset.etag },
      signal: AbortSignal.timeout(10_000),
    })
    if (response.status === 200) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html")
      const next = page.getElementById("main")
      if (next && !isEditing()) {
        Idiomorph.morph(main, next)
        document.title = page.title
        document.querySelector("footer").replaceWith(page.querySelector("footer"))
      }
    } else if (response.status !== 304) throw new Error(`${response.status} ${response.statusText}`)
    lost.hidden = true
    lostSince = undefined
  } catch {
    lostSince ??= new Date()
    lost.textContent = `The page has not been reached since ${lostSince.toLocaleTimeString()} and tries again: what is below may be old.`
    lost.hidden = false
  }
  schedule()
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer)
  else void refresh()
})
addEventListener("pageshow", (event) => {
  // Back from the server by the browser's history: buttons can be pressed again.
  if (event.persisted) for (const button of document.querySelectorAll("button")) button.disabled = false
})
// The server takes a form once, too; this is only to be seen.
document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-once]")) event.submitter.disabled = true
})
schedule()
