// HL7 v2 messages taken apart for reading: every part that says something, with the place it stands at.

import { FIELDS, SEGMENTS } from './hl7_names.js'

// Segments [{id, title, fields: [{place, name, parts: [{place, value}]}]}] of a text with one segment a line; null where
// it has no header to say how it is to be read. A part's place is within its field: [repetition].component.subcomponent,
// as far as there are several.
export function parse(text) {
  const lines = text.split(/[\r\n]+/).filter(Boolean)
  if (!lines.length || !lines[0].startsWith('MSH') || lines[0].length < 8) return null
  const marks = { field: lines[0][3], component: lines[0][4], repetition: lines[0][5], escape: lines[0][6], subcomponent: lines[0][7] }
  if (marks.subcomponent === marks.field) marks.subcomponent = undefined // some declare only three
  return lines.map((line) => segmentOf(line, marks))
}

function segmentOf(line, marks) {
  const [id, ...rest] = line.split(marks.field)
  const values = id === 'MSH' ? [marks.field, ...rest] : rest
  const fields = values.map((value, index) => fieldOf(id, index + 1, value, marks)).filter((field) => field.parts.length)
  return { id, title: SEGMENTS[id] || 'Segment', fields }
}

function fieldOf(id, position, value, marks) {
  const place = `${id}-${position}`
  const name = FIELDS[id]?.[position - 1] || ''
  const isWhole = id === 'MSH' && position <= 2 // the delimiters themselves
  const parts = isWhole ? [{ place: '', value }] : partsOf(value, marks).filter((part) => part.value)
  return { place, name, parts }
}

function partsOf(value, marks) {
  return split(value, marks.repetition).flatMap((repetition, r, repetitions) => {
    const ofRepetition = repetitions.length > 1 ? `[${r + 1}]` : ''
    return split(repetition, marks.component).flatMap((component, c, components) => {
      const ofComponent = components.length > 1 ? `${ofRepetition}.${c + 1}` : ofRepetition
      return split(component, marks.subcomponent).map((part, s, parts) => ({
        place: parts.length > 1 ? `${ofComponent}.${s + 1}` : ofComponent, value: unescape(part, marks),
      }))
    })
  })
}

const split = (text, mark) => (mark ? text.split(mark) : [text])

// A sequence that we do not know stays as it is.
function unescape(text, marks) {
  if (!marks.escape || !text.includes(marks.escape)) return text
  const meant = { F: marks.field, S: marks.component, R: marks.repetition, E: marks.escape, T: marks.subcomponent }
  return text.replace(new RegExp(`\\${marks.escape}(\\w+)\\${marks.escape}`, 'g'), (whole, code) => meant[code] ?? whole)
}

// 'Family, Given Middle' from family^given^middle.
export function person(name) {
  const [family, given, middle] = name.split('^')
  const others = [given, middle].filter(Boolean).join(' ')
  return others ? `${family}, ${others}` : family
}

// 1955-09-07 from 19550907.
export const day = (date) => (date.length >= 8 ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6, 8)}` : date)
