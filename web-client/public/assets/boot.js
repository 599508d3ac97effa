// Watches over a page's own script, which cannot tell that it did not come. Served under a name without a hash and asked
// for each time, so that it is there when a deploy took the script it watches away. It stands beside that script
// (`async`), so that nothing waits for it; if it does not come itself, the style sheet shows the ways out after a while.
//
// What it does: one load again by itself (marked in `history.state`, which lasts over that and needs no storage), and then
// a sentence. `shared/loading.ts` does the same for what the script loads.
(function () {
  'use strict';
  /** On a line that is slower than this the page says so, and goes on waiting. */
  var LATE_MS = 30000;
  var MISSING = 'Part of this page did not arrive. Check your connection and load it again.';
  var LATE = 'This page is still on its way. Your connection seems slow.';
  var TOO_OLD = 'This browser is too old for this page. Try a newer one.';
  var hasReloaded = Boolean(history.state && history.state.reloaded);

  function loadAgainOr(state, sentence) {
    if (hasReloaded) return tell(state, sentence);
    history.replaceState({ reloaded: true }, '');
    location.reload();
  }

  function tell(state, sentence) {
    if (document.readyState === 'loading') return whenParsed(tell.bind(null, state, sentence));
    document.documentElement.setAttribute('data-boot', state);
    var text = document.getElementById('boot-text');
    if (text) text.textContent = sentence;
  }

  /** Not `DOMContentLoaded`, which waits for the very script that may hang. */
  function whenParsed(action) {
    document.addEventListener('readystatechange', action, { once: true });
  }

  function find() {
    return document.querySelector('script[type=module]');
  }

  function watch() {
    var script = find();
    if (!script) return loadAgainOr('failed', MISSING);
    var late = setTimeout(function () {
      loadAgainOr('late', LATE);
    }, LATE_MS);
    // The same script as the page's, which runs once however often it is asked for; only this way tells how that went,
    // even if it failed before.
    import(script.src).then(
      function () {
        clearTimeout(late);
      },
      function (error) {
        clearTimeout(late);
        console.error(error);
        loadAgainOr('failed', error instanceof SyntaxError ? TOO_OLD : MISSING);
      },
    );
  }

  // From a cache this may be here before the page is read as far as to that script.
  if (find() || document.readyState !== 'loading') watch();
  else whenParsed(watch);
})();
