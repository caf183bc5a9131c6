// Every view: its address, its name in the bar, and the role it is for.

import { Runs } from './views/runs.js'
import { Start } from './views/start.js'
import { Templates } from './views/templates.js'

export const views = [
  { path: 'runs', title: 'Runs', component: Runs },
  { path: 'templates', title: 'Templates', component: Templates },
  { path: 'start', title: 'Start a run', component: Start, role: 'operator' },
]
