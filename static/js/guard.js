// htmx can evaluate expressions in attributes (hx-on, js: values, trigger filters). Clew uses none, and text from telemetry
// must never become one: the content policy forbids eval, and this takes it from htmx even where a policy were missing.
htmx.registerExtension("clew-guard", {
  init(api) {
    const refuse = function () { throw new Error("Clew's pages evaluate no expressions"); };
    api.initSecurity(null, refuse, refuse);
  },
});
