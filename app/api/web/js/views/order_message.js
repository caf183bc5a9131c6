// An HL7 message, taken apart and as it is.

import { html, useMemo, useState } from '../dom.js'
import { parse } from '../hl7.js'

export function Message({ title, text, told }) {
  const segments = useMemo(() => parse(text), [text])
  const [isRaw, setRaw] = useState(segments === null)
  return html`<section class="card" aria-label=${title}><div class="head"><h2>${title}</h2><span class="badge">${told}</span>
      <div class="actions" role="group" aria-label="How ${title} is shown">
        <button aria-pressed=${!isRaw} disabled=${segments === null} onClick=${() => setRaw(false)}>Fields</button>
        <button aria-pressed=${isRaw} onClick=${() => setRaw(true)}>Raw</button></div></div>
    ${isRaw || !segments ? html`<pre class="sunk">${text}</pre>` : segments.map((segment) => html`<${Segment} ...${segment} />`)}</section>`
}

function Segment({ id, title, fields }) {
  return html`<details class="segment" open><summary><code>${id}</code> <span class="soft">${title}</span></summary>
    <table><caption class="hidden">${id}: ${title}</caption><tbody>${fields.map(({ place, name, parts }) => html`<tr>
      <th scope="row"><code>${place}</code></th><td class="soft">${name}</td><td>${parts.map((part) => html`<span class="part">${part.place && html`<code class="soft">${part.place}</code>\u00a0`}${part.value}</span> `)}</td></tr>`)}</tbody></table></details>`
}
