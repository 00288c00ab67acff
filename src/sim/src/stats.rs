//! Counts of a run or of many, to show that the simulator has had something to do.

use std::ops::AddAssign;

macro_rules! stats {
    ($($field:ident $meaning:literal;)*) => {
        /// Counts.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $(#[doc = $meaning] pub $field: u64,)*
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Stats) {
                $(self.$field += other.$field;)*
            }
        }

        impl Stats {
            /// Returns the counts with what they count.
            pub fn told(&self) -> Vec<(u64, &'static str)> {
                vec![$((self.$field, $meaning),)*]
            }
        }
    };
}

stats! {
    events "events";
    statements "client actions";
    writes "acknowledged writes";
    edits "acknowledged edits of texts and lists";
    blobs "blobs made";
    fetches "blobs fetched";
    transactions "transactions";
    commits "commits";
    moves "Small Peers that moved to another Big Peer";
    frames "frames";
    bytes "bytes sent";
    links "links made";
    dials "dials";
    notifications "notifications";
    crashes "crashes";
    lost_commits "commits lost in power cuts and kills";
    partitions "partitions";
    cuts "links cut";
    breaks "links that broke by themselves";
    resent "frames sent again";
    queued_ms "milliseconds that frames waited behind others";
    disk_faults "disk faults";
    loads "loads";
    maintenance "flushes and merges";
    sleeps "tabs that slept";
    reboots "engines that booted again";
    index_changes "indexes made or dropped";
    index_rows "rows of indexes checked";
    conflicts "appends that met another tab's";
}
