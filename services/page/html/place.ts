import { html } from "hono/html"
import type { HtmlEscapedString } from "hono/utils/html"
import { type PersonRequest, requestTexts } from "../../../shared/messages/person-requests.ts"
import type { Preview } from "../preview-action.ts"
import type { Asked } from "../read-asked.ts"

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>

export interface Place {
  /** Who looks; undefined where nobody is asked. */
  viewer: string | undefined
  canAct: boolean
  /** Which form is open. */
  preview: Preview | undefined
  /** Of the open form. */
  form: string
  /** The date that was asked for; undefined: that of the headline is meant. */
  day: string | undefined
  asked: Asked | undefined
  /** Milliseconds until the page asks again. */
  pollMs: number
  etag: string
  bucket: string
  project: string
  /** The data folder of a local cloud. */
  localFolder: string | undefined
}

/** A link, or nothing where nothing may be done. */
export function actionLink(
  place: Place,
  day: string | undefined,
  request: PersonRequest,
  label: string,
): Html | string {
  if (!place.canAct) return ""
  const query = new URLSearchParams({ ...(day === undefined ? {} : { day }), ...requestTexts(request) })
  return html`<a class="action" href="/?${query.toString()}#do">${label}</a>`
}
