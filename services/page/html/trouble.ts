import { html } from "hono/html"
import type { Html } from "./place.ts"

/** A page that says why there is no other. */
export function renderTrouble(sentence: string): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Daybook</title>
<link rel="icon" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/page.css">
</head>
<body>
<header><a href="/">Daybook</a></header>
<main id="main"><section class="headline bad"><h1>${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}</h1><p><a href="/">Yesterday</a></p></section></main>
</body>
</html>
`
}
