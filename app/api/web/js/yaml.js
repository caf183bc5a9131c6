// JSON values as YAML that people like to read. What it writes is read back (YAML 1.1) as the same values.

const LINE = 100 // characters that a list in one line may take
const PLAIN = /^[A-Za-z_](?:[\w ./@+-]*[\w./@+-])?$/
const WORDS = /^(?:y|yes|n|no|true|false|on|off|null)$/i // plain, they would not be texts
const UNPRINTABLE = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g
const BLOCK = /^(?! |\n)(?:[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd])+$/

export const yamlOf = (value) => (isNested(value) ? `${linesOf(value).join('\n')}\n` : `${scalar(value)}\n`)

const isNested = (value) => value !== null && typeof value === 'object' && Object.keys(value).length > 0 && !inline(value)

function linesOf(value) {
  if (Array.isArray(value)) return value.flatMap((item) => under('-', item, isNested(item)))
  return Object.entries(value).filter(([, item]) => item !== undefined).flatMap(([key, item]) => under(`${scalar(key)}:`, item, false))
}

// A key or a dash with its value: in its line, or in lines of their own below it.
function under(head, value, joined) {
  if (isNested(value)) {
    const lines = linesOf(value).map((line) => line && `  ${line}`)
    return joined ? [`${head} ${lines[0].trimStart()}`, ...lines.slice(1)] : [head, ...lines]
  }
  const block = typeof value === 'string' && blockOf(value)
  return block ? [`${head} ${block[0]}`, ...block.slice(1)] : [`${head} ${inline(value) || scalar(value)}`]
}

// Empty ones, and short lists of scalars.
function inline(value) {
  if (value === null || typeof value !== 'object') return ''
  if (!Object.keys(value).length) return Array.isArray(value) ? '[]' : '{}'
  if (!Array.isArray(value) || value.some((item) => item !== null && typeof item === 'object')) return ''
  const text = `[${value.map(scalar).join(', ')}]`
  return text.length <= LINE || value.every((item) => typeof item === 'number') ? text : ''
}

// A text of several lines, as it is.
function blockOf(text) {
  if (!text.includes('\n') || text.endsWith('\n\n') || !BLOCK.test(text)) return null
  return [text.endsWith('\n') ? '|' : '|-', ...text.replace(/\n$/, '').split('\n').map((line) => line && `  ${line}`)]
}

function scalar(value) {
  if (typeof value === 'number') return String(value).replace(/^(-?\d+)e/, '$1.0e') // 1e+21 would be a text
  if (typeof value !== 'string') return String(value)
  if (PLAIN.test(value) && !WORDS.test(value)) return value
  return JSON.stringify(value).replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
