// https://cloud.google.com/pubsub/docs/create-topic-labels, https://cloud.google.com/run/docs/configuring/jobs/labels: at most
// 64, of at most 63 lowercase letters, digits, _ and -, and keys begin with a letter. "Lowercase" is of any language.
const LABELS_MAX = 64
const LABEL_KEY = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u
const LABEL_VALUE = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u

/** What is wrong with labels; undefined if nothing is. */
export function findLabelFault(labels: Record<string, string> | null | undefined): string | undefined {
  const all = Object.entries(labels ?? {})
  if (all.length > LABELS_MAX) return `more than ${LABELS_MAX} labels`
  for (const [key, value] of all) {
    if (!LABEL_KEY.test(key)) return `not the key of a label: "${key}"`
    if (!LABEL_VALUE.test(value)) return `not the value of a label, of ${key}: "${value}"`
  }
  return undefined
}
