// Every view: its address, its name in the bar, and the role it is for.

import { Runs } from './views/runs.js'
import { Start } from './views/start.js'

export const views = [
  { path: 'runs', title: 'Runs', component: Runs },
  { path: 'start', title: 'Start a run', component: Start, role: 'operator' },
]
