#![doc = "[quick start]: quick_start"]
#![doc = "[recipes]: recipes"]
#![doc = "[configuration]: configuration"]
#![doc = "[headers]: headers"]
#![doc = "[troubleshooting]: troubleshooting"]
#![doc = "[security]: security"]
#![doc = "[migration]: migration"]
#![doc = ""]
#![doc = include_str!("../docs/guide/README.md")]

/// A page of `docs/guide`, whose links to other pages lead to modules here: of two definitions of a link the first holds.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = "[quick start]: crate::guide::quick_start"]
        #[doc = "[recipes]: crate::guide::recipes"]
        #[doc = "[configuration]: crate::guide::configuration"]
        #[doc = "[headers]: crate::guide::headers"]
        #[doc = "[troubleshooting]: crate::guide::troubleshooting"]
        #[doc = "[security]: crate::guide::security"]
        #[doc = "[migration]: crate::guide::migration"]
        #[doc = ""]
        #[doc = include_str!(concat!("../docs/guide/", $file))]
        pub mod $name {}
    };
}

page!(quick_start, "quick-start.md");
page!(recipes, "recipes.md");
page!(configuration, "configuration.md");
page!(headers, "headers.md");
page!(troubleshooting, "troubleshooting.md");
page!(security, "security.md");
page!(migration, "migration.md");
