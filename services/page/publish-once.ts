// How many forms are remembered; each is a line of text. One instance publishes, so that is all there is.
const FORMS_MAX = 10_000

/** Publishes what a form asks for once, however often it is sent: a double click is one request. */
export function createPublisher<Result>() {
  const published = new Map<string, Promise<Result>>()
  return (form: string, publish: () => Promise<Result>): Promise<Result> => {
    const known = published.get(form)
    if (known) return known
    const publishing = publish()
    published.set(form, publishing)
    // What failed may be tried again.
    publishing.catch(() => published.delete(form))
    const [oldest] = published.keys()
    if (published.size > FORMS_MAX && oldest !== undefined) published.delete(oldest)
    return publishing
  }
}
