// What dead letters are called.

import { html } from '../dom.js'
import { Badge } from '../ui.js'

export const LETTERS = '/api/admin/dead-letters'

export const KINDS = {
  permanent: 'refused for good', exhausted: 'attempts used up', defect: 'a defect of the program', crashed: 'it ended its worker',
  undeliverable: 'could not be queued, or was purged', not_a_job: 'a message that is no job',
}

export const LetterState = ({ state }) => html`<${Badge} word=${state} kind=${{ OPEN: 'bad', RETRIED: 'good' }[state] || ''} />`
