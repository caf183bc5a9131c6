// Orders by their place in a list, asked for a page at a time as they come into sight.
//
// Where every order is listed, a place is an order's number, so any page can be asked for at once. Where only some are,
// a page begins behind the last order of the page before it. Orders come and go from such a list while a run goes on:
// a page that is asked for again and ends elsewhere makes what was known behind it void.

export const PAGE = 100
const KEPT = 30 // pages; those that were not asked for the longest are forgotten
const AT_ONCE = 2 // requests
const BEYOND = 20

export class OrderPages {
  // `load(first, limit)` gives a page of the API from that order number on; `requested` is how many orders there are
  // where every one is listed, null where only some are; `changed()` is told of news.
  constructor({ load, requested, changed }) {
    Object.assign(this, { load, requested, changed })
    this.pages = new Map() // page -> {orders by place, at: ms}, those asked for last at the end
    this.starts = [0] // of the pages of a list of some: the order number that each begins at
    this.found = requested // how many places there are, as far as is known
    this.isWhole = requested !== null
    this.error = null
    this.asked = new Set()
    this.range = [0, 0]
    this.freshness = Infinity
  }

  // How many places a list has that shows what is found; where there is more, a few that make it be asked for.
  get places() { return this.found + (this.isWhole ? 0 : BEYOND) }

  // The order at a place: undefined while it is not loaded, null where there is none (yet).
  at(place) {
    const page = this.pages.get(Math.floor(place / PAGE))
    return page ? page.orders.get(place) ?? null : undefined
  }

  // These places are in sight; what was loaded more than `freshness` ms ago is asked for again.
  want(first, last, freshness = Infinity) {
    this.range = [Math.floor(first / PAGE), Math.floor(last / PAGE)]
    this.freshness = freshness
    this.#ask()
  }

  #ask() {
    const [from, to] = this.range
    for (let page = from; page <= to && this.asked.size < AT_ONCE; page += 1) {
      const known = this.pages.get(page)
      const isDue = !known || Date.now() - known.at > this.freshness
      if (isDue && !this.asked.has(page) && (this.requested !== null || page < this.starts.length)) this.#load(page)
    }
  }

  async #load(page) {
    this.asked.add(page)
    const first = this.requested === null ? this.starts[page] : page * PAGE
    try {
      const { items, next_cursor: more } = await this.load(first, PAGE)
      if (this.requested === null) this.#keepSome(page, items, more !== null)
      else this.#keep(page, items.filter((order) => order.number < first + PAGE).map((order) => [order.number, order]))
      this.error = null
    } catch (error) {
      this.error = error
      this.freshness = Infinity // not again by itself: whoever looks asks again
    }
    this.asked.delete(page)
    this.changed()
    if (!this.error) this.#ask()
  }

  #keepSome(page, items, isMore) {
    const next = isMore ? items.at(-1).number + 1 : undefined
    const isNews = this.starts[page + 1] !== next
    if (isNews) {
      this.starts = [...this.starts.slice(0, page + 1), ...(isMore ? [next] : [])]
      for (const later of this.pages.keys()) if (later > page) this.pages.delete(later)
    }
    this.#keep(page, items.map((order, index) => [page * PAGE + index, order]))
    if (!isNews && isMore) return
    this.isWhole = !isMore
    this.found = page * PAGE + items.length
  }

  #keep(page, orders) {
    this.pages.delete(page)
    this.pages.set(page, { orders: new Map(orders), at: Date.now() })
    for (const oldest of this.pages.keys()) {
      if (this.pages.size <= KEPT) break
      if (oldest < this.range[0] || oldest > this.range[1]) this.pages.delete(oldest)
    }
  }
}
