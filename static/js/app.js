// What every page can do. One module per behaviour, each bound by a data- attribute.
import "./appearance.js";
import "./clock.js";
import "./copy.js";
import "./keys.js";
import "./rows.js";
import "./toasts.js";
