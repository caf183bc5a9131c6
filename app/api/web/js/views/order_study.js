// The study of an order as planned: its series, and one image at a time with its data elements.

import { get, getBlob } from '../api.js'
import { html, useEffect, useState } from '../dom.js'
import { count } from '../format.js'
import { usePoll } from '../live.js'
import { Loaded, Pairs } from '../ui.js'

export function Study({ path, study, stored }) {
  const { value, error } = usePoll(() => get(`${path}/instances`), 0, false, [path])
  return html`<section class="card" aria-label="Study"><h2>Study <span class="soft">(as planned; made again from the run's seed)</span></h2>
    <${Pairs} pairs=${[
      ['Study', `${study.description} (${[study.modality, study.body_part, study.laterality].filter(Boolean).join(', ')})`],
      ['Study instance UID', html`<code>${study.study_uid}</code>`],
      ['Images', `${count(study.series.reduce((sum, series) => sum + series.instances, 0))} planned, ${count(stored)} stored`],
    ]} />
    <${Loaded} value=${value} error=${error}>${({ items }) => html`<${Viewer} path=${path} study=${study} instances=${items} />`}</${Loaded}></section>`
}

function Viewer({ path, study, instances }) {
  const [chosen, choose] = useState(instances[0])
  const ofSeries = instances.filter((each) => each.series === chosen.series)
  return html`<div class="series" role="group" aria-label="Series">${study.series.map((series, index) => {
      const own = instances.filter((each) => each.series === index + 1)
      const middle = own[Math.floor(own.length / 2)]
      return html`<button aria-pressed=${chosen.series === index + 1} title=${series.series_uid} onClick=${() => choose(middle)}>
        <${Picture} path="${path}/instances/${middle.index}/thumbnail" label="" /><span><b>${series.description}</b><br /><span class="soft">${count(series.instances)} ${series.instances === 1 ? 'image' : 'images'}</span></span></button>`
    })}</div>
    <div class="viewer"><div>
        <${Picture} path="${path}/instances/${chosen.index}/thumbnail" label="Image ${chosen.number} of series ${chosen.series}" />
        ${ofSeries.length > 1 && html`<input type="range" aria-label="Image of the series" min="1" max=${ofSeries.length} value=${chosen.number} onInput=${(event) => choose(ofSeries[event.target.value - 1])} />`}
        <p class="soft">Image ${chosen.number} of ${ofSeries.length}, ${chosen.columns} × ${chosen.rows} pixels</p></div>
      <${Elements} path="${path}/instances/${chosen.index}" /></div>`
}

// The last ones stay in sight while those of another image are on their way.
function Elements({ path }) {
  const wanted = usePaused(path)
  const { value, error } = usePoll(() => get(wanted), 0, false, [wanted])
  return html`<div class="elements" tabindex="0" role="region" aria-label="Data elements"><${Loaded} value=${value} error=${error}>${({ items }) => html`
    <table><thead><tr><th scope="col">Tag</th><th scope="col">VR</th><th scope="col">Name</th><th scope="col">Value</th></tr></thead>
    <tbody>${items.map(({ tag, name, vr, value: text, depth }) => html`<tr><th scope="row" style="padding-left: ${12 + 14 * depth}px"><code>${tag}</code></th><td><code>${vr}</code></td><td>${name}</td><td class=${vr === 'SQ' ? 'soft' : ''}>${text}</td></tr>`)}</tbody></table>`}</${Loaded}></div>`
}

// A picture of the server. What it shows stays until the next one is there.
function Picture({ path, label }) {
  const wanted = usePaused(path)
  const [shown, setShown] = useState({})
  useEffect(() => {
    let gone = false
    getBlob(wanted).then(
      (blob) => gone || setShown({ url: URL.createObjectURL(blob), label }),
      (error) => gone || setShown({ error }),
    )
    return () => { gone = true }
  }, [wanted])
  useEffect(() => () => { if (shown.url) URL.revokeObjectURL(shown.url) }, [shown.url])
  if (shown.error) return html`<span class="picture" role="img" aria-label="No picture: ${shown.error.message}">no picture</span>`
  return shown.url ? html`<img class="picture" src=${shown.url} alt=${shown.label} />` : html`<span class="picture"></span>`
}

// The first path at once, later ones when they stay for a moment: a slider that is pulled passes many.
function usePaused(path) {
  const [paused, setPaused] = useState(path)
  useEffect(() => {
    const timer = setTimeout(() => setPaused(path), 120)
    return () => clearTimeout(timer)
  }, [path])
  return paused
}
