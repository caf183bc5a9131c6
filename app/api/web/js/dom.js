// What every view builds with: Preact and its hooks, with htm in place of a compiler.
export {
  Component, createContext, html, render, useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState,
} from '../vendor/preact.js'
