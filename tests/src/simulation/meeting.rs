/// Two who get to know each other, by a link of one of them. Users in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) inviter: String,
    pub(super) joiner: String,
    pub(super) link: Option<String>,
}

impl Meeting {
    pub(super) fn new(inviter: &str, joiner: &str) -> Self {
        Self { inviter: inviter.to_owned(), joiner: joiner.to_owned(), link: None }
    }

    pub(super) fn involves(&self, user: &str) -> bool {
        self.inviter == user || self.joiner == user
    }
}
